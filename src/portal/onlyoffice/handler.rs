//! The upload handler, `ChunkedUploader.ashx`: dispatch by query, who may use a session, and answers that are always
//! 200 or 201.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use axum::response::Response;
use serde_json::Value;

use super::auth::Who;
use super::calls::{Call, Step};
use super::commit::Taken;
use super::envelope;
use super::errors::{Failure, STRANGER_COMMUNITY, STRANGER_DOCSPACE};
use super::server::{Asked, Server};
use super::uploads::{Doubt, Wanted};

/// What is answered, but for the envelope.
struct Handled {
    created: bool,
    data: Option<Value>,
    /// The session whose client is in doubt when this gets lost.
    doubt: Option<String>,
}

impl Handled {
    fn of(created: bool, data: Option<Value>) -> Handled {
        Handled { created, data, doubt: None }
    }
}

impl Server {
    pub(super) async fn upload_handler(self: &Arc<Self>, asked: &Asked, body: Body) -> Response {
        if asked.parts.method == Method::OPTIONS {
            return envelope::plain(200, "");
        }
        if self.version.is_community() && asked.parts.method != Method::POST {
            return envelope::plain(404, "");
        }
        match self.handle(asked, body).await {
            Ok(handled) => {
                let mut answer = envelope::handler_success(self.version.family(), handled.created, handled.data);
                if let Some(session) = handled.doubt {
                    answer.extensions_mut().insert(Doubt(session));
                }
                answer
            }
            Err(failure) => envelope::handler_failure(&asked.style(), &failure.message()),
        }
    }

    async fn handle(self: &Arc<Self>, asked: &Asked, body: Body) -> Result<Handled, Failure> {
        let id = asked.query.text("uid").unwrap_or_default().to_owned();
        self.play_lost_session(asked, &id).await?;
        self.authorize(asked, &id)?;
        let step = match &asked.call {
            Call::Handler(Some(step)) => step,
            _ => return Ok(Handled::of(false, Some(self.initiate(asked).await?))),
        };
        match step {
            Step::Abort => {
                self.change(|office| office.abort(&id, &asked.moment())).await??;
                Ok(Handled::of(false, None))
            }
            Step::Finalize => {
                let file = self.change(|office| office.finalize(&id, &asked.moment())).await??;
                Ok(Handled::of(true, Some(self.uploaded(asked, &id, file, "provider_key"))))
            }
            Step::Numbered(number) => {
                self.framed_chunk(asked, &id, *number, body).await?;
                Ok(Handled::of(false, Some(self.resumed(asked, &id))))
            }
            Step::Plain => self.handle_plain(asked, id, body).await,
        }
    }

    async fn handle_plain(self: &Arc<Self>, asked: &Asked, id: String, body: Body) -> Result<Handled, Failure> {
        let numbered = asked.query.text("upload").is_some() || asked.query.text("chunkNumber").is_some();
        if numbered {
            self.violation(asked, "the number of a chunk is ignored here: it counts as the next one");
        }
        let (taken, session) = self.plain_chunk(asked, &id, Wanted::FirstFile, body).await?;
        let handled = match taken {
            Taken::More => Handled::of(false, Some(asked.view().resumed(&session))),
            Taken::Finished(file) => Handled::of(true, Some(self.uploaded_of(asked, &session, file, "provider_key"))),
        };
        Ok(Handled { doubt: Some(id), ..handled })
    }

    /// DocSpace wants the user who opened the session; to CommunityServer, whoever knows the session is welcome.
    fn authorize(&self, asked: &Asked, id: &str) -> Result<(), Failure> {
        let is_community = self.version.is_community();
        let stranger = Failure::Fault(if is_community { STRANGER_COMMUNITY } else { STRANGER_DOCSPACE });
        let opens = asked.call == Call::HandlerInitiate;
        if (opens || !is_community) && asked.who == Who::Stranger {
            return Err(stranger);
        }
        if opens {
            return Ok(());
        }
        if asked.call == Call::Handler(None) {
            self.violation(asked, "no session is named");
            return Err(stranger);
        }
        let mut office = self.office();
        let session = office.session(id, asked.settings.storage, asked.now)?;
        let is_owner = session.user.as_deref() == asked.who.name();
        if is_community || is_owner { Ok(()) } else { Err(stranger) }
    }
}
