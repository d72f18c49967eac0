//! The way of a request through the portal: kind, line, faults, service, faults. It is the same at both ports, that of the
//! service and that of its object store. The control address leaves before any of it, so that a script of faults never
//! strikes the test that wrote it.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::control;
use super::core::{Core, Protocol};
use super::faults::When;
use super::faults::apply::Trouble;
use super::storage;
use super::wire::{WireHandle, Wires};
use super::work::Busy;

/// What every request needs.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) core: Arc<Core>,
    pub(super) protocol: Arc<dyn Protocol>,
}

/// Which port a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// The service's own.
    Service,
    /// That of its object store.
    Storage,
}

/// The listeners of a portal.
pub(super) struct Listeners {
    pub(super) service: TcpListener,
    pub(super) storage: TcpListener,
}

/// Serves until the portal is stopped and the requests under way are answered.
pub(super) async fn serve(listeners: Listeners, served: Served) -> std::io::Result<()> {
    let service = listen(listeners.service, Door::Service, served.clone());
    let storage = listen(listeners.storage, Door::Storage, served);
    tokio::try_join!(service, storage).map(|_| ())
}

async fn listen(listener: TcpListener, door: Door, served: Served) -> std::io::Result<()> {
    let stopping = served.core.stopping.clone();
    let wires = Wires { listener, line: served.core.line.clone() };
    let router = Router::new().fallback(answer).with_state((served, door));
    let service = router.into_make_service_with_connect_info::<WireHandle>();
    axum::serve(wires, service).with_graceful_shutdown(async move { stopping.cancelled().await }).await
}

async fn answer(
    State((served, door)): State<(Served, Door)>,
    ConnectInfo(wire): ConnectInfo<WireHandle>,
    request: Request,
) -> Response {
    if door == Door::Service && control::is_control(request.uri().path()) {
        return control::answer(&served, request).await;
    }
    let Served { core, protocol } = &served;
    let kind = match door {
        Door::Service => protocol.kind(request.method(), request.uri()),
        Door::Storage => storage::KIND,
    };
    core.count(kind);
    let busy = Arc::new(core.work.begin());
    let latency = core.line.link().latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let trouble =
        Trouble { plan: core.faults.plan(kind), wire, stopping: core.stopping.clone(), work: core.work.clone() };
    let (parts, body) = request.into_parts();
    let mut body = Some(trouble.request_body(body));
    // Before the wait that a silence is.
    if door == Door::Service && trouble.swallows_request() {
        protocol.request_lost(&parts.method, &parts.uri);
    }
    if let Some(answer) = trouble.strike(When::Before, &mut body).await {
        return answer;
    }
    let body = body.expect("only an answer takes the body away");
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(trouble.injections());
    let answer = match door {
        Door::Service => finish(protocol, busy.clone(), request).await,
        Door::Storage => storage::answer(&served, &request),
    };
    if let Some(other) = trouble.strike(When::After, &mut None).await {
        protocol.answer_lost(answer.extensions());
        return other;
    }
    if !trouble.cuts_answer() {
        return answer;
    }
    protocol.answer_lost(answer.extensions());
    cut(answer, &trouble)
}

/// The service's answer. It works to the end even when the client goes away meanwhile, as the real ones do.
async fn finish(protocol: &Arc<dyn Protocol>, busy: Arc<Busy>, request: Request) -> Response {
    let (sender, receiver) = oneshot::channel();
    let protocol = protocol.clone();
    tokio::spawn(async move {
        let _busy = busy;
        let answer = protocol.answer(request).await;
        if let Err(unsent) = sender.send(answer) {
            protocol.answer_lost(unsent.extensions());
        }
    });
    receiver.await.unwrap_or_else(|_| {
        let mut answer = Response::default();
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    })
}

/// Reads what is left, so that the client has sent everything when it is answered.
pub(super) async fn drain(body: Body) {
    let mut stream = body.into_data_stream();
    while let Some(Ok(_)) = stream.next().await {}
}

/// The answer with a body that will be cut. Its length is announced first, or nobody would see that it was.
fn cut(answer: Response, trouble: &Trouble) -> Response {
    let (mut parts, body) = answer.into_parts();
    if let Some(length) = HttpBody::size_hint(&body).exact() {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    Response::from_parts(parts, trouble.answer_body(Body::new(body)))
}
