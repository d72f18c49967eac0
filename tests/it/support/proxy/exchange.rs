//! One client's connection: each request is carried to the server over a connection of its own, and its answer back,
//! with whatever fault the script has for it. A connection to the server is never used twice: one that the server is
//! just closing would be a fault that nobody asked for.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::sleep;

use super::wire::{AnswerHead, Inlet, RequestHead, Side};
use super::{End, Entry, Fault, Page, Server, Shared};

/// What becomes of the client's connection after a request.
enum Then {
    GoOn,
    Close(End),
}

/// Serves a client until either side has had enough.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let mut client = Side::new(stream);
    while let Ok(Some(mut head)) = RequestHead::read(&mut client.inlet).await {
        let Ok(start) = head.content.peek(&mut client.inlet).await else { return };
        let (entry, fault) = shared.note(&head, start);
        match (Exchange { shared: &shared, entry, fault }).run(&mut client, head).await {
            Ok(Then::GoOn) => {}
            Ok(Then::Close(End::Fin)) | Err(_) => return,
            Ok(Then::Close(End::Reset)) => return client.reset(),
        }
    }
}

/// One request and its answer.
struct Exchange<'a> {
    shared: &'a Arc<Shared>,
    entry: Entry,
    fault: Option<Fault>,
}

impl Exchange<'_> {
    async fn run(self, client: &mut Side, mut head: RequestHead) -> io::Result<Then> {
        match &self.fault {
            Some(Fault::Delay(time)) => sleep(*time).await,
            Some(Fault::HangBefore(gate)) => gate.pass().await,
            Some(Fault::DropBefore(end)) => {
                head.content.drain(&mut client.inlet).await?;
                return Ok(Then::Close(*end));
            }
            Some(Fault::Status(page)) => {
                head.content.drain(&mut client.inlet).await?;
                return show(page, &mut client.outlet).await;
            }
            _ => {}
        }
        let mut server = Side::new(TcpStream::connect(self.shared.upstream).await?);
        self.shared.tell(self.entry, Server::Silent);
        server.outlet.write_all(&head.raw).await?;
        match self.fault.clone() {
            Some(Fault::CutRequest(bytes)) => {
                head.content.pass(&mut client.inlet, &mut server.outlet, bytes).await?;
                Ok(Then::Close(End::Fin))
            }
            Some(Fault::StatusDuring(page)) => {
                head.content.pass(&mut client.inlet, &mut server.outlet, u64::MAX).await?;
                self.forget(server, head.method);
                show(&page, &mut client.outlet).await
            }
            _ => self.carry(client, server, head).await,
        }
    }

    /// The server finishes its work, and its answer is for nobody.
    fn forget(&self, mut server: Side, method: String) {
        let (shared, entry) = (self.shared.clone(), self.entry);
        tokio::spawn(async move {
            if let Ok(mut head) = AnswerHead::read(&mut server.inlet, &method).await {
                shared.tell(entry, Server::Answered(head.status));
                // Whether it comes whole is all the same.
                let _ = head.content.drain(&mut server.inlet).await;
            }
        });
    }

    /// Both directions at once: a server may answer before it has read everything.
    async fn carry(&self, client: &mut Side, mut server: Side, mut head: RequestHead) -> io::Result<Then> {
        let there = async {
            let sent = head.content.pass(&mut client.inlet, &mut server.outlet, u64::MAX).await;
            if sent.is_err() {
                // The server learns that no more is coming; if it is the server who has had enough, it knows.
                let _ = server.outlet.shutdown().await;
            }
            sent
        };
        let back = self.answer(&mut server.inlet, &head.method, &mut client.outlet);
        let (sent, then) = tokio::join!(there, back);
        Ok(if sent.is_err() { Then::Close(End::Fin) } else { then? })
    }

    /// Brings the answer to the client, or what the script makes of it.
    async fn answer(&self, server: &mut Inlet, method: &str, client: &mut OwnedWriteHalf) -> io::Result<Then> {
        let mut head = AnswerHead::read(server, method).await?;
        while head.status < 200 {
            client.write_all(&head.raw).await?;
            head = AnswerHead::read(server, method).await?;
        }
        self.shared.tell(self.entry, Server::Answered(head.status));
        let mut limit = u64::MAX;
        match &self.fault {
            Some(Fault::DropAfter(end)) => {
                head.content.drain(server).await?;
                return Ok(Then::Close(*end));
            }
            Some(Fault::StatusAfter(page)) => {
                head.content.drain(server).await?;
                return show(page, client).await;
            }
            Some(Fault::HangAfter(gate)) => gate.pass().await,
            Some(Fault::CutAnswer(bytes)) => limit = *bytes,
            _ => {}
        }
        client.write_all(&head.raw).await?;
        head.content.pass(server, client, limit).await?;
        Ok(if head.closes || limit < u64::MAX { Then::Close(End::Fin) } else { Then::GoOn })
    }
}

/// The answer of a gateway.
async fn show(page: &Page, client: &mut OwnedWriteHalf) -> io::Result<Then> {
    client.write_all(page.to_string().as_bytes()).await?;
    Ok(Then::GoOn)
}
