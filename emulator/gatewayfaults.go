package emulator

import "net/http"

// The refusals that come from who calls, and not from what is asked of the state.
var (
	errTokenExpired  = &fault{http.StatusBadRequest, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.", true}                                   // text not documented, status 400 or 403
	errTokenMismatch = &fault{http.StatusBadRequest, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken is mismatch with the AccessKey.", true} // neither
	errDenied        = &fault{http.StatusForbidden, "Forbidden.NoPermission", "This operation is forbidden by permission system.", false}                           //
	errDryRun        = &fault{http.StatusBadRequest, "DryRunOperationError", "The request would have succeeded, but DryRun is set.", false}                         // status and text not documented
	errDryDenied     = &fault{http.StatusForbidden, "AccessDeniedError", errDenied.message, false}                                                                  // status and text not documented
	errThrottled     = &fault{http.StatusTooManyRequests, "Rejected.Throttling", "QPS Limit Exceeded", false}
	errThrottledUser = &fault{http.StatusBadRequest, "Throttling.User", "Request was denied due to user flow control.", true}
	errThrottledAPI  = &fault{http.StatusBadRequest, "Throttling.Api", "Request was denied due to api flow control.", true} // text not documented
	errUnavailable   = &fault{http.StatusServiceUnavailable, "ServiceUnavailableTemporary", "Service Unavailable Temporary.", false}
)
