//! One connection: the socket with the line in front of it, and a handle by which a fault ends it, politely or not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};

use super::link::{Direction, Line};

/// Accepts connections and puts the line in front of each.
pub(super) struct Wires {
    pub(super) listener: TcpListener,
    pub(super) line: Arc<Line>,
}

impl Listener for Wires {
    type Io = Wire;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Wire, Self::Addr) {
        // TcpListener's own implementation of this trait waits out and logs what accept may answer.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers are small and someone waits for each.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        (Wire::new(stream, self.line.clone()), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Listener::local_addr(&self.listener)
    }
}

/// Ends its connection. The next thing that is read from or written to it fails.
#[derive(Clone, Debug, Default)]
pub(super) struct WireHandle(Arc<Ending>);

#[derive(Debug, Default)]
struct Ending {
    ended: AtomicBool,
    reset: AtomicBool,
}

impl WireHandle {
    /// The peer gets a reset.
    pub(super) fn reset(&self) {
        self.0.reset.store(true, Ordering::Relaxed);
        self.close();
    }

    /// The peer gets an end of file (or a reset, where it is still sending: that is the kernel's choice).
    pub(super) fn close(&self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Wires>> for WireHandle {
    fn connect_info(stream: IncomingStream<'_, Wires>) -> Self {
        stream.io().handle.clone()
    }
}

/// A connection.
pub(super) struct Wire {
    stream: TcpStream,
    line: Arc<Line>,
    handle: WireHandle,
    /// Until when what was read, or written, is still on its way.
    up: Waiting,
    down: Waiting,
}

/// A wait that is only there while it lasts.
type Waiting = Option<Pin<Box<Sleep>>>;

impl Wire {
    fn new(stream: TcpStream, line: Arc<Line>) -> Self {
        Wire { stream, line, handle: WireHandle::default(), up: None, down: None }
    }

    /// Fails once the connection was ended from within.
    fn check(&self) -> io::Result<()> {
        if self.handle.0.ended.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.handle.0.reset.load(Ordering::Relaxed) {
            // Best effort: without it the peer gets an ordinary end.
            let _ = self.stream.set_zero_linger();
        }
    }
}

fn poll_wait(waiting: &mut Waiting, context: &mut Context<'_>) -> Poll<()> {
    if let Some(sleep) = waiting {
        ready!(sleep.as_mut().poll(context));
        *waiting = None;
    }
    Poll::Ready(())
}

fn wait_until(end: Option<Instant>) -> Waiting {
    end.map(|end| Box::pin(tokio::time::sleep_until(end)))
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        ready!(poll_wait(&mut self.up, context));
        let Some(grain) = self.line.grain(Direction::Up) else {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        };
        let mut part = buffer.take(grain);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let read = part.filled().len();
        // The bytes were read into the initialised front of `buffer`'s free space; a safe copy of them replaces the
        // unsafe promise that they are initialised.
        let bytes = part.filled().to_vec();
        buffer.put_slice(&bytes);
        self.up = wait_until(self.line.occupy(Direction::Up, read));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        ready!(poll_wait(&mut self.down, context));
        let Some(grain) = self.line.grain(Direction::Down) else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        let part = &bytes[..bytes.len().min(grain)];
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, part))?;
        self.down = wait_until(self.line.occupy(Direction::Down, written));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.line.grain(Direction::Down).is_some() {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
            return self.poll_write(context, first);
        }
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
