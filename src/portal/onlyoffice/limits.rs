//! The limiter of hosted portals: requests in a minute, at once, and in a day, for each user. It counts what is under
//! way even where it refuses nothing, because a client does not know whether it is switched on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Method;
use time::{Date, Duration, OffsetDateTime};

use super::config::RateLimit;
use super::errors::Failure;

/// What the limiter of the vendor lets a user do at once beside reading.
pub(super) const WRITES_AT_ONCE: u32 = 15;

/// Seconds to wait when too much is under way.
const RETRY_SOON_S: u64 = 1;

/// The traffic of all users.
#[derive(Clone, Debug, Default)]
pub(super) struct Limiter(Arc<Mutex<HashMap<String, Traffic>>>);

#[derive(Debug, Default)]
struct Traffic {
    reads: u32,
    writes: u32,
    recent: VecDeque<OffsetDateTime>,
    day: Option<Date>,
    writes_today: u32,
}

/// A request under way. Dropped, it is over.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Limiter,
    user: String,
    is_write: bool,
    /// Requests of the user under way that are not GET, this one included.
    pub(super) writes: u32,
}

impl Limiter {
    /// Lets a request in.
    ///
    /// # Errors
    /// The limit, where there is one, is reached.
    pub(super) fn enter(
        &self,
        user: &str,
        method: &Method,
        limit: Option<&RateLimit>,
        now: OffsetDateTime,
    ) -> Result<Permit, Failure> {
        let is_write = *method != Method::GET;
        let mut users = self.users();
        let traffic = users.entry(user.to_owned()).or_default();
        if let Some(limit) = limit {
            traffic.check(limit, method, now)?;
        }
        if is_write {
            traffic.writes += 1;
        } else {
            traffic.reads += 1;
        }
        let writes = traffic.writes;
        Ok(Permit { limiter: self.clone(), user: user.to_owned(), is_write, writes })
    }

    fn users(&self) -> MutexGuard<'_, HashMap<String, Traffic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    fn check(&mut self, limit: &RateLimit, method: &Method, now: OffsetDateTime) -> Result<(), Failure> {
        while self.recent.front().is_some_and(|then| now - *then >= Duration::MINUTE) {
            self.recent.pop_front();
        }
        if self.day != Some(now.date()) {
            (self.day, self.writes_today) = (Some(now.date()), 0);
        }
        let refuse = |limit, retry_after_s| Err(Failure::Throttled { retry_after_s, limit });
        if self.recent.len() >= limit.per_minute as usize {
            let oldest = self.recent.front().map_or(Duration::MINUTE, |then| Duration::MINUTE - (now - *then));
            return refuse(limit.per_minute, oldest.whole_seconds().unsigned_abs() + 1);
        }
        let (under_way, at_once) = match *method == Method::GET {
            true => (self.reads, limit.concurrent_reads),
            false => (self.writes, limit.concurrent_writes),
        };
        if under_way >= at_once {
            return refuse(at_once, RETRY_SOON_S);
        }
        if *method == Method::POST || *method == Method::PUT {
            if self.writes_today >= limit.writes_per_day {
                let midnight = now.date().next_day().unwrap_or(Date::MAX).midnight().assume_utc();
                return refuse(limit.writes_per_day, (midnight - now).whole_seconds().unsigned_abs());
            }
            self.writes_today += 1;
        }
        self.recent.push_back(now);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(traffic) = self.limiter.users().get_mut(&self.user) {
            let under_way = if self.is_write { &mut traffic.writes } else { &mut traffic.reads };
            *under_way -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn refused(answer: Result<Permit, Failure>) -> (u32, u64) {
        match answer {
            Err(Failure::Throttled { limit, retry_after_s }) => (limit, retry_after_s),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn what_is_under_way_counts_until_it_is_over() {
        let limiter = Limiter::default();
        let limit = RateLimit { concurrent_writes: 2, concurrent_reads: 1, ..RateLimit::default() };
        let enter = |user, method: Method| limiter.enter(user, &method, Some(&limit), NOW);
        let first = enter("a", Method::POST).unwrap();
        let second = enter("a", Method::DELETE).unwrap();
        assert_eq!((first.writes, second.writes), (1, 2));
        assert_eq!(refused(enter("a", Method::PUT)), (2, 1));
        let _read = enter("a", Method::GET).unwrap();
        assert_eq!(refused(enter("a", Method::GET)), (1, 1));
        enter("b", Method::PUT).unwrap();
        drop(first);
        enter("a", Method::PUT).unwrap();
    }

    #[test]
    fn a_minute_and_a_day_end() {
        let limiter = Limiter::default();
        let limit = RateLimit { per_minute: 2, writes_per_day: 3, ..RateLimit::default() };
        let enter = |now| limiter.enter("a", &Method::POST, Some(&limit), now);
        enter(NOW).unwrap();
        enter(NOW + Duration::seconds(10)).unwrap();
        assert_eq!(refused(enter(NOW + Duration::seconds(20))), (2, 41));
        enter(NOW + Duration::seconds(60)).unwrap();
        let (limit, wait) = refused(enter(NOW + Duration::seconds(3600)));
        assert_eq!((limit, wait), (3, 23 * 3600));
        enter(NOW + Duration::DAY).unwrap();
    }

    #[test]
    fn without_a_limiter_everything_is_counted_and_nothing_refused() {
        let limiter = Limiter::default();
        let permits: Vec<Permit> = (0..40).map(|_| limiter.enter("a", &Method::POST, None, NOW).unwrap()).collect();
        assert_eq!(permits.last().unwrap().writes, 40);
    }
}
