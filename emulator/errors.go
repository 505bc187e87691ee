package emulator

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// fault is a refusal as it goes over the wire.
type fault struct {
	status  int
	code    string
	message string
	gateway bool // refused by the gateway in front of KMS, whose error body is another one
}

// Error shows the fault to callers of the Go methods. No fault text holds a secret value.
func (f *fault) Error() string { return f.code + ": " + f.message }

// The refusals without a parameter, in the words of the API (typing errors included: clients may match on them).
var (
	errUnknownAction     = &fault{http.StatusNotFound, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.", true}
	errVersion           = &fault{http.StatusBadRequest, "InvalidVersion", "Specified parameter Version is not valid.", true}
	errIncomplete        = &fault{http.StatusBadRequest, "IncompleteSignature", "The request signature does not conform to Alibaba Cloud standards.", true}
	errSignatureMethod   = &fault{http.StatusBadRequest, "InvalidSignatureMethod", "Specified signature method is not valid.", true}
	errAccessKey         = &fault{http.StatusNotFound, "InvalidAccessKeyId.NotFound", "Specified access key is not found.", true}
	errTimestampFormat   = &fault{http.StatusBadRequest, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.", true}
	errTimestampExpired  = &fault{http.StatusBadRequest, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.", true}
	errNonceUsed         = &fault{http.StatusBadRequest, "SignatureNonceUsed", "Specified signature nonce was used already.", true}
	errSecurityToken     = &fault{http.StatusBadRequest, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.", true} // 400 or 403 is open
	errUnsupportedMethod = &fault{http.StatusBadRequest, "UnsupportedHTTPMethod", "This http method is not supported.", true}             // text not documented

	errUnparsable     = &fault{http.StatusBadRequest, "ParseRequestParameterException", "The request parameters cannot be parsed.", false}           // text not documented
	errBodyTooLarge   = &fault{http.StatusRequestEntityTooLarge, "ParseRequestParameterException", "The request body exceeds 1048576 bytes.", false} // neither is documented
	errFormat         = &fault{http.StatusBadRequest, "InvalidParameter", `The specified parameter "Format" is not valid.`, false}
	errInternal       = &fault{http.StatusInternalServerError, "InternalFailure", "Internal Failure.", false}
	errNotFound       = &fault{http.StatusNotFound, "Forbidden.ResourceNotFound", "Resource not found", false}
	errLimit          = &fault{http.StatusBadRequest, "Rejected.LimitExceeded", "The secret quota is exceeded.", false}
	errExists         = &fault{http.StatusConflict, "Rejected.ResourceExist", "The resource already exists.", false}
	errVersionExists  = &fault{http.StatusConflict, "Rejected.ResourceExist", "The request was rejected becasue key already exsit", false}
	errNamePlanned    = &fault{http.StatusConflict, "Rejected.ResourceInDeleteWindow", "The secret is planned to be deleted.", false}
	errInWindow       = &fault{http.StatusConflict, "Rejected.ResourceInDeleteWindow", "secret in delete peroid", false}
	errCreate         = &fault{http.StatusBadRequest, "InvalidParameter", "The specified parameter is invalid.", false}
	errCreateFound    = &fault{http.StatusNotFound, "Forbidden.ResourceNotFound", "The resource is not found.", false}
	errKeyNotFound    = &fault{http.StatusNotFound, "Forbidden.KeyNotFound", "The specified Key is not found.", false}
	errAliasNotFound  = &fault{http.StatusNotFound, "Forbidden.AliasNotFound", "The specified Alias is not found.", false}
	errKeyDisabled    = &fault{http.StatusConflict, "Rejected.Disabled", "The request was rejected because the key state is Disabled.", false}
	errKeyDeleting    = &fault{http.StatusConflict, "Rejected.PendingDeletion", "The request was rejected because the key state is PendingDeletion.", false}
	errKeyWaiting     = &fault{http.StatusConflict, "Rejected.PendingImport", "The request was rejected because the key state is PendingImport.", false}
	errKeyState       = &fault{http.StatusConflict, "Rejected.StateModifiedFailed", "The request was rejected because the key state can not be modified.", false} // text not documented
	errKeyGuarded     = &fault{http.StatusConflict, "Rejected.StateModifiedFailed", "The request was rejected because deletion protection is enabled.", false}    // not documented
	errKeyUnsupported = &fault{http.StatusBadRequest, "Rejected.UnsupportedOperation", "Unsupported operation.", false}
	errAliasExists    = &fault{http.StatusBadRequest, "AliasAlreadyExists", "The specified alias already exists.", false} // text not documented
	errTagLimit       = &fault{http.StatusBadRequest, "Rejected.LimitExceeded", "The tag quota is exceeded.", false}      // text not documented
	errCiphertext     = &fault{http.StatusBadRequest, "InvalidParameter", `The specified parameter "CiphertextBlob" is not valid.`, false}
	errRotate         = &fault{http.StatusBadRequest, "InvalidParameter", "The specified parameter is not valid.", false}
	errRotating       = &fault{http.StatusConflict, "Rejected.ResourceInUse", "The secret is being rotated.", false} // neither is published
	errNotDeleted     = &fault{http.StatusConflict, "Rejected.ResourceInUse", "restore normal secret", false}
	errNoOwnPolicy    = &fault{http.StatusBadRequest, "Forbidden.KeyPolicyUnSupported", "The specified key does not support key policy.", false} // for a secret in no instance
)

// missing is the gateway's answer to an absent parameter. The other spelling there, a common code
// "MissingParameter", is left to KMS itself: see needed.
func missing(name string) *fault {
	return &fault{http.StatusBadRequest, "Missing" + name, name + " is mandatory for this action.", true}
}

// needed is the answer of KMS to a parameter that is optional for the gateway but not in this case.
func needed(name string) *fault {
	return &fault{http.StatusBadRequest, "MissingParameter", fmt.Sprintf("The parameter %q is needed but not provided.", name), false}
}

// invalid names the parameter at fault. Two actions have a text without the name, which they put in its place.
func invalid(name string) *fault {
	return &fault{http.StatusBadRequest, "InvalidParameter", fmt.Sprintf("The specified parameter %q is not valid.", name), false}
}

// pageTexts are messages by action and code, where an action's page has others than the rest of the API.
var pageTexts = map[string]map[string]string{
	"CreateSecret": {
		"Forbidden.NoPermission": "You are not authorized to perform the operation.",
		"Rejected.Throttling":    "The QPS upper limit is exceeded.",
		"InternalFailure":        "An internal error occurred.",
	},
}

// worded is the fault in the words of the action's own page.
func (f *fault) worded(action string) *fault {
	text, ok := pageTexts[action][f.code]
	if !ok {
		return f
	}
	own := *f
	own.message = text
	return &own
}

// asFault finds the fault in err. Anything else is a bug of ours and shows nothing of itself.
func asFault(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	return errInternal
}

type gatewayError struct {
	RequestID string `json:"RequestId"`
	HostID    string `json:"HostId"`
	Code      string `json:"Code"`
	Message   string `json:"Message"`
	Recommend string `json:"Recommend"`
}

func (gatewayError) xmlRoot() string { return "Error" }

type kmsError struct {
	HTTPStatus int    `json:"HttpStatus"`
	Code       string `json:"Code"`
	Message    string `json:"Message"`
	RequestID  string `json:"RequestId"`
	HostID     string `json:"HostId"`
}

// body gives the fault the shape of whoever refused.
func (f *fault) body(requestID, host string) any {
	if !f.gateway {
		return kmsError{HTTPStatus: f.status, Code: f.code, Message: f.message, RequestID: requestID, HostID: host}
	}
	link := "https://api.aliyun.com/troubleshoot?q=" + url.QueryEscape(f.code) + "&product=Kms&requestId=" + requestID
	return gatewayError{RequestID: requestID, HostID: host, Code: f.code, Message: f.message, Recommend: link}
}
