//! One session of the machine: which parts are cut, under way, held. It knows ranges and order, not why.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::overlap;
use crate::path::RemotePath;
use crate::ranges::Ranges;
use crate::service::{PartRules, Receipt, SessionToken};
use crate::spool::{OpenSession, Sent};
use crate::upload::plan::{self, Cut, Ready};

/// What the machine waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is under way and there is no session.
    Idle,
    /// `begin` is under way, with this part where it carries one and the size it declared.
    Opening { cut: Option<Cut>, total: Option<u64> },
    /// There is a session; parts may be under way.
    Open,
    /// `finish` is under way.
    Finishing,
    /// The whole file is under way in one request.
    Whole,
    /// The outcome of the last request is unknown; the question is out when `asked`.
    Probing { asked: bool },
    /// The service never told the outcome; the next commit asks before anything else.
    Unsettled,
    /// A timer runs; then `next`.
    Waiting { next: Box<Stage> },
}

impl Stage {
    /// See [`super::Machine::is_naming`].
    pub(super) fn is_naming(&self) -> bool {
        match self {
            Stage::Finishing | Stage::Whole | Stage::Probing { .. } => true,
            Stage::Waiting { next } => next.is_naming(),
            Stage::Idle | Stage::Opening { .. } | Stage::Open | Stage::Unsettled => false,
        }
    }
}

/// A session and its parts.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: SessionToken,
    /// The declared size, where the service had to be told.
    pub(super) total: Option<u64>,
    /// What the service confirmed, by the first byte.
    held: BTreeMap<u64, Receipt>,
    /// Parts under way, by index.
    pub(super) flying: BTreeMap<u32, Cut>,
    /// Whether the part that ends the file was sent.
    pub(super) ended: bool,
    /// The service has refused for good to make a file of it.
    pub(super) refused: bool,
    /// The outcome of a part is unknown: nothing more is sent before a probe.
    pub(super) unsure: bool,
    /// Everything that was cut and is not held: to be sent (again) before new parts.
    again: BTreeMap<u32, Cut>,
    /// Bytes under way that changed meanwhile.
    stale: Ranges,
    /// Parts that were sent with other bytes before: that the service holds one says nothing about which bytes.
    rewritten: BTreeSet<u32>,
    /// The next part to cut.
    next_index: u32,
    /// Everything from here on was never sent.
    next_at: u64,
}

impl Session {
    pub(super) fn new(token: SessionToken, total: Option<u64>) -> Self {
        Session {
            token,
            total,
            held: BTreeMap::new(),
            flying: BTreeMap::new(),
            ended: false,
            refused: false,
            unsure: false,
            again: BTreeMap::new(),
            stale: Ranges::new(),
            rewritten: BTreeSet::new(),
            next_index: 0,
            next_at: 0,
        }
    }

    /// A session that another process left. What became of its last requests is not known: a probe says. Parts that leave
    /// together are noted in any order: those behind a gap are not counted on.
    pub(super) fn resume(mut left: OpenSession) -> Self {
        let mut end = 0;
        let without_gap = left.sent.iter().zip(0..).take_while(|((index, sent), expected)| {
            let follows = **index == *expected && sent.range.start == end;
            end = sent.range.end;
            follows
        });
        let known = without_gap.count() as u32;
        left.sent.split_off(&known);

        let mut session = Session::new(left.token, left.total);
        session.unsure = true;
        session.ended = left.sent.values().any(|sent| sent.last);
        session.next_index = left.sent.keys().next_back().map_or(0, |last| last + 1);
        session.next_at = left.sent.values().map(|sent| sent.range.end).max().unwrap_or(0);
        for (index, sent) in left.sent {
            match left.held.get(&index).filter(|receipt| receipt.range == sent.range) {
                Some(receipt) => {
                    session.held.insert(receipt.range.start, receipt.clone());
                }
                None => {
                    if sent.rewritten {
                        session.rewritten.insert(index);
                    }
                    session.again.insert(index, sent.into());
                }
            }
        }
        session
    }

    /// What [`Session::resume`] needs. Which name the file had when it was opened, the caller knows.
    pub(super) fn left(&self, path: RemotePath) -> OpenSession {
        let held = self.held.values().map(|receipt| Sent {
            index: receipt.index,
            range: receipt.range.clone(),
            last: self.ended && receipt.range.end == self.next_at,
            rewritten: false,
        });
        let under_way = self.flying.values().chain(self.again.values()).map(|cut| Sent {
            rewritten: self.rewritten.contains(&cut.index) || self.stale.touches(cut.range.clone()),
            ..cut.clone().into()
        });
        OpenSession {
            token: self.token.clone(),
            total: self.total,
            path,
            sent: held.chain(under_way).map(|sent| (sent.index, sent)).collect(),
            held: self.held.values().map(|receipt| (receipt.index, receipt.clone())).collect(),
        }
    }

    /// `begin` carried this part.
    pub(super) fn opened_with(&mut self, cut: &Cut, receipt: Receipt) {
        self.advance_past(cut);
        self.hold(cut, receipt);
    }

    /// The next part to send.
    pub(super) fn next(&self, rules: &PartRules, ready: impl Fn(u64) -> Ready) -> Option<Cut> {
        if let Some(cut) = self.again.values().next() {
            return Some(cut.clone());
        }
        let Some(total) = self.total else {
            return plan::next_cut(rules, self.next_index, self.next_at, ready(self.next_at));
        };
        let cut = plan::declared_cut(rules, total, self.next_index)?;
        let complete = match ready(cut.range.start) {
            Ready::All(size) => size == total,
            Ready::UpTo(to) | Ready::Waited(to) => to.saturating_sub(rules.hold_back) >= cut.range.end,
        };
        complete.then_some(cut)
    }

    /// A part leaves.
    pub(super) fn fly(&mut self, cut: Cut) {
        if self.again.remove(&cut.index).is_none() {
            self.advance_past(&cut);
        }
        self.ended |= cut.last;
        self.flying.insert(cut.index, cut);
    }

    fn advance_past(&mut self, cut: &Cut) {
        self.next_index = cut.index + 1;
        self.next_at = cut.range.end;
        self.ended |= cut.last;
    }

    /// A part came back, with whatever answer.
    pub(super) fn landed(&mut self, index: u32) -> Cut {
        self.flying.remove(&index).expect("an answer comes for a part that is under way")
    }

    /// The service confirmed a part.
    pub(super) fn hold(&mut self, cut: &Cut, receipt: Receipt) {
        debug_assert!(receipt.range == cut.range, "a receipt is for the part that was sent");
        if self.stale.touches(cut.range.clone()) {
            self.rewritten.insert(cut.index);
            self.unsent(cut.clone());
        } else {
            self.held.insert(receipt.range.start, receipt);
        }
    }

    /// A part is not, or not rightly, with the service: it is sent again.
    pub(super) fn unsent(&mut self, cut: Cut) {
        self.stale.remove(cut.range.clone());
        self.again.insert(cut.index, cut);
    }

    /// The outcome of a part is unknown until a probe.
    pub(super) fn doubt(&mut self, cut: Cut) {
        self.unsure = true;
        self.again.insert(cut.index, cut);
    }

    /// A probe said what the session holds. In a sequence the next part begins where the service stopped, whatever the
    /// parts were here (it may hold a piece of one); elsewhere the parts keep their numbers and ranges.
    pub(super) fn holds(&mut self, receipts: Vec<Receipt>, sequential: bool) {
        debug_assert!(self.flying.is_empty(), "a probe is asked when nothing is under way");
        self.unsure = false;
        let known = std::mem::replace(
            &mut self.held,
            receipts.into_iter().map(|receipt| (receipt.range.start, receipt)).collect(),
        );
        if sequential {
            self.again.clear();
            self.next_index = self.held.values().map(|receipt| receipt.index + 1).max().unwrap_or(0);
            self.next_at = self.bytes().end_of_run(0);
            self.ended = false;
            return;
        }
        // Parts that were confirmed once and are missing now, and parts in doubt that did arrive.
        for receipt in known.into_values().filter(|receipt| !self.held.contains_key(&receipt.range.start)) {
            let last = self.ended && receipt.range.end == self.next_at;
            self.again.insert(receipt.index, Cut { index: receipt.index, range: receipt.range, last });
        }
        let (held, stale, rewritten) = (&self.held, &mut self.stale, &mut self.rewritten);
        self.again.retain(|index, cut| {
            let arrived = held.get(&cut.range.start).is_some_and(|receipt| receipt.range == cut.range);
            if stale.touches(cut.range.clone()) {
                stale.remove(cut.range.clone());
                rewritten.insert(*index);
            }
            !arrived || rewritten.contains(index)
        });
        for cut in self.again.values() {
            self.held.remove(&cut.range.start);
        }
        // What another process sent, and did not note.
        while let Some(receipt) = self.held.get(&self.next_at).filter(|receipt| receipt.index == self.next_index) {
            self.next_index += 1;
            self.next_at = receipt.range.end;
            self.ended |= self.total == Some(self.next_at);
        }
    }

    /// Bytes of sent parts changed and the service can take the parts again.
    pub(super) fn rewrite(&mut self, range: &Range<u64>) {
        let touched: Vec<u64> =
            self.held.iter().filter(|(_, held)| overlap(&held.range, range)).map(|(at, _)| *at).collect();
        for receipt in touched.iter().filter_map(|at| self.held.remove(at)) {
            let last = self.ended && receipt.range.end == self.next_at;
            self.rewritten.insert(receipt.index);
            self.again.insert(receipt.index, Cut { index: receipt.index, range: receipt.range, last });
        }
        let in_doubt = self.again.values().filter(|_| self.unsure);
        for cut in self.flying.values().chain(in_doubt).filter(|cut| overlap(&cut.range, range)) {
            self.stale.insert(cut.range.clone());
        }
    }

    /// Whether any byte of `range` was sent.
    pub(super) fn touches(&self, range: &Range<u64>) -> bool {
        // Everything that was cut lies before `next_at`: a writer that goes on at the end pays one comparison.
        range.start < self.next_at
    }

    /// Whether the service holds every byte of a file of `size` bytes.
    pub(super) fn complete(&self, size: u64) -> bool {
        let bytes = self.bytes();
        self.again.is_empty() && !self.unsure && bytes.covers(0..size) && bytes.end() <= size
    }

    /// What the service confirmed, in the order of the file.
    pub(super) fn receipts(&self) -> Vec<Receipt> {
        self.held.values().cloned().collect()
    }

    /// How many bytes the service confirmed.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held.values().map(|receipt| receipt.range.end - receipt.range.start).sum()
    }

    fn bytes(&self) -> Ranges {
        self.held.values().map(|receipt| receipt.range.clone()).collect()
    }
}
