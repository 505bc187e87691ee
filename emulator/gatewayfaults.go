package emulator

import "net/http"

// The refusals that come from who calls, or how often, and not from what is asked of the state. For those of the token it is
// open whether their status is 400 or 403, and the texts are not documented; nor are status and text of dry runs, and the
// text of Throttling.Api.
var (
	errTokenExpired  = &fault{http.StatusBadRequest, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.", true}
	errTokenMismatch = &fault{http.StatusBadRequest, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken is mismatch with the AccessKey.", true}
	errDenied        = &fault{http.StatusForbidden, "Forbidden.NoPermission", "This operation is forbidden by permission system.", false}
	errDryRun        = &fault{http.StatusBadRequest, "DryRunOperationError", "The request would have succeeded, but DryRun is set.", false}
	errDryDenied     = &fault{http.StatusForbidden, "AccessDeniedError", errDenied.message, false}
	errThrottled     = &fault{http.StatusTooManyRequests, "Rejected.Throttling", "QPS Limit Exceeded", false}
	errThrottledUser = &fault{http.StatusBadRequest, "Throttling.User", "Request was denied due to user flow control.", true}
	errThrottledAPI  = &fault{http.StatusBadRequest, "Throttling.Api", "Request was denied due to api flow control.", true}
	errUnavailable   = &fault{http.StatusServiceUnavailable, "ServiceUnavailableTemporary", "Service Unavailable Temporary.", false}
)
