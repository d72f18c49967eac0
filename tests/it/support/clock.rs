//! A clock that is turned by hand, for clients that wait for a portal: it goes as always while anything is under way, and
//! leaps while everybody waits for time to pass. A wait of a minute takes milliseconds, and none ends too early because a
//! machine is busy: what is under way is known, not guessed, because every request goes through a relay here.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uploadfs::portal::Portal;

/// So often the hand looks.
const LOOK: Duration = Duration::from_micros(500);
/// So many looks in a row see nothing before the clock leaps: whoever is about to do something gets a turn.
const LOOKS: u32 = 3;
/// The first leap of the clock; it doubles while nothing happens.
const LEAP_FIRST: Duration = Duration::from_millis(20);
/// The longest leap of the clock.
const LEAP_MAX: Duration = Duration::from_secs(2);

/// The way to a portal, on which everything that passes is seen.
pub(crate) struct Line {
    address: SocketAddr,
    seen: Arc<Seen>,
}

/// What the relay has seen.
#[derive(Default)]
struct Seen {
    /// Grows with everything that passes.
    passed: AtomicU64,
    /// Connections on which a request waits for its answer.
    waiting: AtomicUsize,
    /// Bytes that clients have sent, headers and all.
    sent: AtomicU64,
}

impl Line {
    async fn to(portal: &Portal) -> Line {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let (service, storage) = (portal.address(), portal.storage_address());
        let line = Line { address, seen: seen.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, (service, storage), seen.clone()));
            }
        });
        line
    }

    /// The address of the portal through this line; as a proxy, it leads to its storage, too.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many bytes clients have sent so far, headers and all.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.seen.sent.load(Ordering::SeqCst)
    }
}

/// A connection on which a request waits for its answer, or not.
struct Waiting {
    seen: Arc<Seen>,
    is_waiting: bool,
}

impl Waiting {
    /// The client has sent so many bytes, and waits.
    fn sent(&mut self, bytes: usize) {
        self.seen.sent.fetch_add(bytes as u64, Ordering::SeqCst);
        self.set(true);
    }

    fn set(&mut self, is_waiting: bool) {
        self.seen.passed.fetch_add(1, Ordering::SeqCst);
        match (self.is_waiting, is_waiting) {
            (false, true) => self.seen.waiting.fetch_add(1, Ordering::SeqCst),
            (true, false) => self.seen.waiting.fetch_sub(1, Ordering::SeqCst),
            _ => return,
        };
        self.is_waiting = is_waiting;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// Carries bytes until one side ends, and lets the other side end in the same way. Where they go tells the first request:
/// one that is meant for a proxy names the storage.
async fn relay(mut client: TcpStream, (service, storage): (SocketAddr, SocketAddr), seen: Arc<Seen>) {
    let mut waiting = Waiting { seen, is_waiting: false };
    let mut first = vec![0; 16 << 10];
    let Ok(len @ 1..) = client.read(&mut first).await else { return };
    waiting.sent(len);
    let line = String::from_utf8_lossy(first[..len].split(|byte| *byte == b'\n').next().unwrap_or_default());
    let there = if line.contains(&format!(" http://{storage}/")) { storage } else { service };
    let Ok(mut server) = TcpStream::connect(there).await else { return };
    // As below.
    let _ = server.write_all(&first[..len]).await;
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(len @ 1..) = read else { return };
                waiting.sent(len);
                // Whoever answers too early closes, which is seen below.
                let _ = server.write_all(&up[..len]).await;
            }
            read = server.read(&mut down) => match read {
                Ok(0) => return,
                Ok(len) => {
                    waiting.set(false);
                    if client.write_all(&down[..len]).await.is_err() {
                        return;
                    }
                }
                Err(_) => {
                    // A reset stays a reset.
                    let _ = client.set_zero_linger();
                    return;
                }
            },
        }
    }
}

/// Runs `work`, a client of `portal` that goes through the line, to its end, on a runtime of its own whose clock is turned
/// by hand.
pub(crate) fn turned<T>(portal: &Portal, work: impl AsyncFnOnce(&Line) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // The clock of an idle runtime would leap by itself; that of one that waits for a thread does not.
        let (release, held) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        let line = Line::to(portal).await;
        let done = tokio::select! {
            done = work(&line) => done,
            () = turn(portal, &line.seen) => unreachable!("the hand does not stop"),
        };
        drop(release);
        done
    })
}

/// Turns the clock.
async fn turn(portal: &Portal, seen: &Seen) {
    let (mut passed, mut looks) = (0, 0_u32);
    loop {
        tokio::task::spawn_blocking(|| thread::sleep(LOOK)).await.unwrap();
        let (before, work) = (passed, portal.work());
        passed = seen.passed.load(Ordering::SeqCst);
        // Whoever waits for an answer that does not come waits for the time.
        let is_still = work.under_way == work.silent && seen.waiting.load(Ordering::SeqCst) == work.silent;
        looks = if is_still && passed == before { looks + 1 } else { 0 };
        let step = match looks.checked_sub(LOOKS) {
            Some(idle) => LEAP_FIRST.saturating_mul(1 << idle.min(16)).min(LEAP_MAX),
            None => LOOK,
        };
        tokio::time::advance(step).await;
    }
}
