//! The line between client and portal: how many bytes per second it carries in each direction, and how long a request
//! takes to cross it. All connections share one line, as they do behind one uplink. It knows no protocol.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What the line can do. The default is a line without limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// Bytes per second from clients to the portal; `None` without a limit.
    pub up_bytes_per_s: Option<u64>,
    /// Bytes per second from the portal to clients; `None` without a limit.
    pub down_bytes_per_s: Option<u64>,
    /// Milliseconds from the end of a request's head to its first effect: the round trip of a real line.
    pub latency_ms: u64,
}

/// A direction of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From clients to the portal.
    Up,
    /// From the portal to clients.
    Down,
}

/// Bytes that travel at once on a limited line: small enough that a slow line flows instead of jumping, large enough
/// that timers are no work.
const GRAIN: Duration = Duration::from_millis(20);

/// The least that travels at once, whatever the rate.
const GRAIN_BYTES_MIN: u64 = 1024;

/// The line with its traffic.
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<Traffic>,
}

#[derive(Debug)]
struct Traffic {
    link: Link,
    /// When the last byte that was let through has arrived, for each direction.
    free_at: [Option<Instant>; 2],
}

impl Line {
    pub(super) fn new(link: Link) -> Self {
        Line { state: Mutex::new(Traffic { link, free_at: [None; 2] }) }
    }

    pub(super) fn link(&self) -> Link {
        self.state().link
    }

    pub(super) fn set(&self, link: Link) {
        self.state().link = link;
    }

    /// The most bytes that may travel in one step, `None` without a limit.
    pub(super) fn grain(&self, direction: Direction) -> Option<usize> {
        let rate = self.link().rate(direction)?;
        let bytes = (u128::from(rate) * GRAIN.as_micros() / 1_000_000).max(u128::from(GRAIN_BYTES_MIN));
        Some(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Takes the line for `bytes`; the time until which whoever sent them has to wait.
    pub(super) fn occupy(&self, direction: Direction, bytes: usize) -> Option<Instant> {
        let mut state = self.state();
        let rate = state.link.rate(direction)?;
        let now = Instant::now();
        let slot = &mut state.free_at[direction as usize];
        let start = slot.map_or(now, |free_at| free_at.max(now));
        let micros = (bytes as u128) * 1_000_000 / u128::from(rate);
        let end = start + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        *slot = Some(end);
        Some(end)
    }

    fn state(&self) -> MutexGuard<'_, Traffic> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    fn rate(&self, direction: Direction) -> Option<u64> {
        let rate = match direction {
            Direction::Up => self.up_bytes_per_s,
            Direction::Down => self.down_bytes_per_s,
        };
        // A line of zero bytes per second would be a stall; those are faults, with an end.
        rate.map(|rate| rate.max(1))
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_queue_behind_one_another() {
        let line = Line::new(Link { up_bytes_per_s: Some(1000), ..Link::default() });
        let now = Instant::now();
        assert_eq!(line.occupy(Direction::Up, 500), Some(now + Duration::from_millis(500)));
        assert_eq!(line.occupy(Direction::Up, 250), Some(now + Duration::from_millis(750)));
        assert_eq!(line.occupy(Direction::Down, 1 << 30), None);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(
            line.occupy(Direction::Up, 1000),
            Some(now + Duration::from_secs(10)),
            "an idle line saves nothing up"
        );
    }

    #[test]
    fn a_slow_line_flows_in_small_steps() {
        let line = Line::new(Link { down_bytes_per_s: Some(1 << 20), ..Link::default() });
        assert_eq!(line.grain(Direction::Down), Some(20971));
        assert_eq!(line.grain(Direction::Up), None);
        line.set(Link { down_bytes_per_s: Some(0), ..Link::default() });
        assert_eq!(line.grain(Direction::Down), Some(1024));
    }
}
