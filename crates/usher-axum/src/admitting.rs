//! Asking the application whether it takes a connection, with an end to the wait.

use std::sync::Arc;

use http::StatusCode;
use usher_auth::Permit;
use usher_auth::close_code::CloseCause;
use usher_auth::refusal::{Refusal, RefusalKind, Rejection};

use crate::{ADMISSION_PATIENCE, Application, Presenter};

/// The answer to a client whose application did not answer us.
const NO_ANSWER: Rejection = Rejection {
    status: StatusCode::GATEWAY_TIMEOUT,
    code: "application_timeout",
    reason: "The application did not answer",
    cause: CloseCause::Internal,
    retry_after: None,
};

/// What `application` says to a verified user.
pub(crate) async fn admit_within_patience<A: Application>(
    application: &Arc<A>,
    request: &A::Request,
    permit: Permit,
    client: &Arc<Presenter>,
) -> Result<A::Admitted, Refusal> {
    let answer = application.clone().admit(request.clone(), permit, client.clone());
    tokio::time::timeout(ADMISSION_PATIENCE, answer).await.unwrap_or_else(|_| {
        Err(Refusal::new(RefusalKind::Application(NO_ANSWER), "the application took too long to admit a connection"))
    })
}
