//! A clock that is turned by hand, for clients that wait for a portal: it goes as always while the portal is at work, and
//! runs while everybody waits for time to pass. A wait of a minute takes milliseconds, and hardly one ends too early
//! because a machine is busy.

use std::thread;
use std::time::Duration;

use uploadfs::portal::Portal;

/// So long nothing may have happened before the clock moves.
const LOOK: Duration = Duration::from_millis(1);
/// So many looks in a row see nothing before the clock moves: whoever is about to do something gets a turn.
const LOOKS: u32 = 3;
/// The first step of the clock; it doubles while nothing happens.
const STEP_FIRST: Duration = Duration::from_millis(20);
/// The longest step of the clock.
const STEP_MAX: Duration = Duration::from_secs(2);

/// Runs `work`, a client of `portal`, to its end, on a runtime of its own whose clock is turned by hand.
pub(crate) fn turned<T>(portal: &Portal, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // The clock of an idle runtime would leap to the next timer; one that waits for a thread leaves it alone.
        let (release, held) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        let done = tokio::select! {
            done = work => done,
            () = turn(portal) => unreachable!("the hand does not stop"),
        };
        drop(release);
        done
    })
}

/// Turns the clock while nothing happens.
async fn turn(portal: &Portal) {
    let (mut seen, mut looks) = (portal.work(), 0_u32);
    loop {
        tokio::task::spawn_blocking(|| thread::sleep(LOOK)).await.unwrap();
        let now = portal.work();
        looks = if now == seen && now.1 == 0 { looks + 1 } else { 0 };
        seen = now;
        let step = match looks.checked_sub(LOOKS) {
            Some(idle) => STEP_FIRST.saturating_mul(1 << idle.min(16)).min(STEP_MAX),
            None => LOOK,
        };
        tokio::time::advance(step).await;
    }
}
