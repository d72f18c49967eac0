//! The limiter: requests of a user in a minute. Whether the service has one is unknown; nobody has seen it say so.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

/// The requests of the last minute, by user.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<String, VecDeque<OffsetDateTime>>>);

impl Limiter {
    /// Whether one more request of this user is let in; it counts if it is.
    pub(super) fn lets_in(&self, user: &str, per_minute: u32, now: OffsetDateTime) -> bool {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = users.entry(user.to_owned()).or_default();
        while recent.front().is_some_and(|then| now - *then >= Duration::MINUTE) {
            recent.pop_front();
        }
        let fits = recent.len() < per_minute as usize;
        if fits {
            recent.push_back(now);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_ends() {
        let (limiter, now) = (Limiter::default(), OffsetDateTime::UNIX_EPOCH);
        let enter = |user, seconds| limiter.lets_in(user, 2, now + Duration::seconds(seconds));
        assert!(enter("a", 0) && enter("a", 10) && enter("b", 10));
        assert!(!enter("a", 59), "what is refused does not count");
        assert!(enter("a", 60) && !enter("a", 60) && enter("a", 70));
    }
}
