//! What a fault does to a request and its answer. The order of a request's life: delay, answer or drop before, the body
//! (which may be cut), the service, delay, answer or drop after, the answer's body (which may be cut).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::super::wire::WireHandle;
use super::super::work::Work;
use super::{Fault, How, Injection, When};

/// What the service has to play itself; in the extensions of a request.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Injections(Arc<[Injection]>);

impl Injections {
    pub(in super::super) fn has(&self, injection: Injection) -> bool {
        self.0.contains(&injection)
    }
}

/// The faults of one request, with what they act on.
pub(in super::super) struct Trouble {
    pub(in super::super) plan: Vec<Fault>,
    pub(in super::super) wire: WireHandle,
    /// The end of the portal, which ends silences.
    pub(in super::super) stopping: CancellationToken,
    /// Told of silences.
    pub(in super::super) work: Work,
}

impl Trouble {
    pub(in super::super) fn injections(&self) -> Injections {
        let injections = self.plan.iter().filter_map(|fault| match fault {
            Fault::Inject { what } => Some(*what),
            _ => None,
        });
        Injections(injections.collect())
    }

    /// Everything that happens at one end; `Some` when there will be no other answer. `body` is what the client still
    /// sends: somebody on the way reads it before answering, as a proxy that spools does.
    pub(in super::super) async fn strike(&self, when: When, body: &mut Option<Body>) -> Option<Response> {
        for fault in &self.plan {
            match fault {
                Fault::Delay { when: at, ms } if *at == when => {
                    tokio::time::sleep(std::time::Duration::from_millis(*ms)).await;
                }
                Fault::Drop { when: at, how } if *at == when => {
                    if *how != How::Reset {
                        drain(body).await;
                    }
                    self.ending(*how, Some(&self.work)).happen().await;
                    return Some(Response::default());
                }
                Fault::Answer { when: at, status, retry_after_s, body: text } if *at == when => {
                    drain(body).await;
                    return Some(foreign_answer(*status, *retry_after_s, text));
                }
                _ => {}
            }
        }
        None
    }

    /// Whether the client will not know that nothing of its request was applied: it gets no answer, or one that a proxy
    /// gives when it does not know either. A limiter's answer, and a body that was cut, are clear.
    pub(in super::super) fn swallows_request(&self) -> bool {
        self.plan.iter().any(|fault| match fault {
            Fault::Drop { when: When::Before, .. } => true,
            Fault::Answer { when: When::Before, status, .. } => matches!(status, 500 | 502 | 504),
            _ => false,
        })
    }

    /// The request's body as the service will see it.
    pub(in super::super) fn request_body(&self, body: Body) -> Body {
        let cut = self.plan.iter().find_map(|fault| match fault {
            Fault::CutRequest { at, how } => Some((*at, *how)),
            _ => None,
        });
        self.cut(body, cut, Some(&self.work))
    }

    /// Whether the answer's body will not arrive whole.
    pub(in super::super) fn cuts_answer(&self) -> bool {
        self.plan.iter().any(|fault| matches!(fault, Fault::CutAnswer { .. }))
    }

    /// The answer's body as the client will see it.
    pub(in super::super) fn answer_body(&self, body: Body) -> Body {
        let cut = self.plan.iter().find_map(|fault| match fault {
            Fault::CutAnswer { at, how } => Some((*at, *how)),
            _ => None,
        });
        // The work is done when the answer leaves.
        self.cut(body, cut, None)
    }

    fn cut(&self, body: Body, cut: Option<(u64, How)>, work: Option<&Work>) -> Body {
        let Some((at, how)) = cut else { return body };
        Body::from_stream(cut_stream(body, at, self.ending(how, work)))
    }

    fn ending(&self, how: How, work: Option<&Work>) -> Ending {
        Ending { wire: self.wire.clone(), stopping: self.stopping.clone(), work: work.cloned(), how }
    }
}

/// How, and by what, a connection ends.
struct Ending {
    wire: WireHandle,
    stopping: CancellationToken,
    /// What is silent meanwhile.
    work: Option<Work>,
    how: How,
}

impl Ending {
    async fn happen(&self) {
        match self.how {
            How::Reset => self.wire.reset(),
            How::Close => self.wire.close(),
            How::Silence => {
                // A client that gives up ends this, too: its request is dropped.
                let _silence = self.work.as_ref().map(Work::silence);
                self.stopping.cancelled().await;
                self.wire.close();
            }
        }
    }
}

/// The first `at` bytes of `body`, then the end of the connection. A body that is shorter is cut at its end.
fn cut_stream(body: Body, at: u64, ending: Ending) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    let state = (body.into_data_stream(), at, Some(ending));
    futures_util::stream::unfold(state, |(mut stream, left, ending)| async move {
        let ending = ending?;
        let next = if left > 0 { stream.next().await } else { None };
        match next {
            Some(Ok(bytes)) => {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - length as u64;
                Some((Ok(bytes.slice(..length)), (stream, left, Some(ending))))
            }
            Some(Err(error)) => Some((Err(error), (stream, left, None))),
            None => {
                // A turn for the connection to send what it has; the end would swallow it.
                tokio::task::yield_now().await;
                ending.happen().await;
                let error = axum::Error::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
                Some((Err(error), (stream, left, None)))
            }
        }
    })
}

async fn drain(body: &mut Option<Body>) {
    if let Some(body) = body.take() {
        let mut stream = body.into_data_stream();
        while let Some(Ok(_)) = stream.next().await {}
    }
}

fn foreign_answer(status: u16, retry_after_s: Option<u64>, text: &str) -> Response {
    let mut answer = Response::new(Body::from(text.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let content_type = match text.as_bytes().first() {
        Some(b'<') => "text/html",
        Some(b'{') => "application/json",
        _ => "text/plain",
    };
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(seconds) = retry_after_s {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(plan: Vec<Fault>) -> Trouble {
        Trouble { plan, wire: WireHandle::default(), stopping: CancellationToken::new(), work: Work::default() }
    }

    async fn read(body: Body) -> (Vec<u8>, bool) {
        let mut stream = body.into_data_stream();
        let mut read = Vec::new();
        while let Some(next) = stream.next().await {
            match next {
                Ok(bytes) => read.extend_from_slice(&bytes),
                Err(_) => return (read, true),
            }
        }
        (read, false)
    }

    #[tokio::test]
    async fn a_body_is_cut_at_the_byte() {
        for (at, expected) in [(0, &b""[..]), (3, b"012"), (10, b"0123456789"), (99, b"0123456789")] {
            let trouble = trouble(vec![Fault::CutRequest { at, how: How::Close }]);
            let (bytes, failed) = read(trouble.request_body(Body::from("0123456789"))).await;
            assert_eq!((bytes.as_slice(), failed), (expected, true), "at {at}");
            assert_eq!(read(trouble.answer_body(Body::from("xy"))).await, (b"xy".to_vec(), false));
        }
    }

    #[tokio::test]
    async fn an_answer_of_somebody_else_stops_the_request() {
        let page = "<html>Sign in</html>";
        let fault = Fault::Answer { when: When::Before, status: 429, retry_after_s: Some(7), body: page.into() };
        let trouble = trouble(vec![fault, Fault::Delay { when: When::After, ms: 0 }]);
        let answer = trouble.strike(When::Before, &mut Some(Body::from("abc"))).await.unwrap();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "7");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html");
        assert!(trouble.strike(When::After, &mut None).await.is_none());
    }

    #[tokio::test]
    async fn silence_ends_with_the_portal() {
        let trouble = trouble(vec![Fault::Drop { when: When::After, how: How::Silence }]);
        let (stopping, mut none) = (trouble.stopping.clone(), None);
        let mut silent = Box::pin(trouble.strike(When::After, &mut none));
        assert!(futures_util::poll!(silent.as_mut()).is_pending());
        assert_eq!(trouble.work.state().silent, 1);
        stopping.cancel();
        assert!(silent.await.is_some());
    }

    #[test]
    fn a_limiter_is_clear_and_a_gateway_is_not() {
        let answer = |status| Fault::Answer { when: When::Before, status, retry_after_s: None, body: String::new() };
        assert!(trouble(vec![answer(504)]).swallows_request() && !trouble(vec![answer(429)]).swallows_request());
        assert!(trouble(vec![Fault::Drop { when: When::Before, how: How::Close }]).swallows_request());
        assert!(!trouble(vec![Fault::CutRequest { at: 1, how: How::Close }]).swallows_request());
    }

    #[test]
    fn what_the_service_plays_is_handed_on() {
        let injections = trouble(vec![Fault::Inject { what: Injection::Quota }]).injections();
        assert!(injections.has(Injection::Quota) && !injections.has(Injection::ExpiredToken));
    }
}
