//! One upload session of a memory service: checks every part and the final list of receipts against the announced
//! rules. It decides nothing about names.

use std::collections::BTreeMap;

use serde_json::json;
use sha1::Sha1;

use super::config::Keep;
use super::stored::{Gathering, Received, Stored};
use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;
use crate::service::{Flow, Part, PartRules, Receipt, SizePolicy, Spec};

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A rule that the service announces was broken: the caller is wrong, and tests must hear of it.
    Rule(Error),
    /// The caller broke a rule that costs it the session.
    Fatal(Error),
    /// Something that can happen to every caller.
    Plain(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Plain(error)
    }
}

/// A broken rule, in words.
pub(super) fn rule(what: impl Into<String>) -> Refusal {
    Refusal::Rule(Error::new(Kind::Invalid, "memory", what.into()))
}

/// A file that is larger than announced.
pub(super) fn too_large(what: impl Into<String>) -> Refusal {
    Refusal::Rule(Error::new(Kind::TooLarge, "memory", what.into()))
}

/// An open session.
#[derive(Debug)]
pub(super) struct Session {
    /// The name at `begin`.
    pub(super) path: RemotePath,
    rules: PartRules,
    /// The exact size, where it had to be declared.
    size: Option<u64>,
    file_max: u64,
    parts: Gathering,
    /// The index of the part that was sent as the last one.
    last: Option<u32>,
    /// Parts on their way in.
    in_flight: usize,
    /// Counts the parts that arrived.
    generation: u64,
    /// When each held part arrived, so that a receipt tells a part from its replacement.
    seals: BTreeMap<u32, u64>,
}

impl Session {
    /// Opens a session for `spec`.
    pub(super) fn open(policy: &SizePolicy, file_max: u64, spec: &Spec, keep: Keep) -> Result<Self, Refusal> {
        let (rules, size) = match (policy, spec.size) {
            (SizePolicy::Streamed(rules), _) => (*rules, None),
            (SizePolicy::Declared(rules), Some(size)) => (*rules, Some(size)),
            (SizePolicy::Declared(_), None) => return Err(rule("begin must state the exact size")),
            (SizePolicy::Whole { .. }, _) => return Err(rule("the service has no sessions")),
        };
        if spec.size.is_some_and(|size| size > file_max) {
            return Err(too_large(format!("a file has at most {file_max} bytes")));
        }
        Ok(Session {
            path: spec.path.clone(),
            rules,
            size,
            file_max,
            parts: Gathering::new(keep),
            last: None,
            in_flight: 0,
            generation: 0,
            seals: BTreeMap::new(),
        })
    }

    /// Lets a part in, if it may come now; the answer is the hash it continues. Every admission is followed by one
    /// [`Session::arrived`].
    pub(super) fn admit(&mut self, part: &Part) -> Result<Option<Sha1>, Refusal> {
        self.check_size(part)?;
        self.check_place(part)?;
        if self.in_flight >= self.rules.flow.width() {
            return Err(rule(format!("more than {} parts under way at once", self.rules.flow.width())));
        }
        self.in_flight += 1;
        Ok(self.parts.hash_at(part.payload.range().start))
    }

    /// An admitted part has arrived, or never will.
    pub(super) fn arrived(&mut self) {
        self.in_flight -= 1;
    }

    fn check_size(&self, part: &Part) -> Result<(), Refusal> {
        let (rules, len) = (&self.rules, part.payload.len());
        let name = format!("part {} of {len} bytes", part.index);
        if part.last && len == 0 && rules.hold_back > 0 {
            let what = format!("{name}: an empty last part destroys the upload");
            return Err(Refusal::Fatal(Error::new(Kind::Invalid, "memory", what)));
        }
        if len > rules.max {
            return Err(too_large(format!("{name}: a part has at most {} bytes", rules.max)));
        }
        if rules.first_max.is_some_and(|max| part.index == 0 && len > max) {
            return Err(too_large(format!("{name}: the first part is larger than announced")));
        }
        if !part.last && (len < rules.min || len == 0) {
            return Err(rule(format!("{name}: only the last part may have less than {} bytes", rules.min)));
        }
        if !part.last && len % rules.multiple != 0 {
            return Err(rule(format!("{name}: not a multiple of {} bytes", rules.multiple)));
        }
        Ok(())
    }

    fn check_place(&self, part: &Part) -> Result<(), Refusal> {
        let (index, range) = (part.index, part.payload.range());
        let replaced = self.parts.range_of(index);
        if index >= self.rules.count_max {
            return Err(rule(format!("part {index}: a file has at most {} parts", self.rules.count_max)));
        }
        if replaced.is_some() && !self.rules.rewrite {
            let what = format!("part {index} is held already and cannot be replaced");
            return Err(Refusal::Rule(Error::new(Kind::Conflict, "memory", what)));
        }
        if self.last.is_some_and(|last| index > last || (part.last && index < last)) {
            return Err(rule(format!("part {index} comes behind the last part")));
        }
        if range.end > self.file_max {
            return Err(too_large(format!("a file has at most {} bytes", self.file_max)));
        }
        if let Some(size) = self.size
            && (range.end > size || part.last != (range.end == size))
        {
            return Err(rule(format!("part {index} at {range:?} does not fit the declared size {size}")));
        }
        let next = u32::try_from(self.parts.count()).unwrap_or(u32::MAX);
        let end = self.parts.end();
        if self.rules.flow == Flow::Sequential && replaced.is_none() && (index, range.start) != (next, end) {
            return Err(rule(format!("part {index} at {range:?} is out of order: expected part {next} at {end}")));
        }
        Ok(())
    }

    /// Takes an admitted part in.
    pub(super) fn accept(&mut self, index: u32, last: bool, part: Received) -> Receipt {
        self.generation += 1;
        self.seals.insert(index, self.generation);
        self.last = if last { Some(index) } else { self.last.filter(|have| *have != index) };
        self.parts.add(index, part);
        self.receipt(index)
    }

    fn receipt(&self, index: u32) -> Receipt {
        let range = self.parts.range_of(index).expect("a receipt is for a part that is held");
        Receipt { index, range, state: json!({ "seal": self.seals[&index] }) }
    }

    /// Receipts for everything that is held.
    pub(super) fn holds(&self) -> Vec<Receipt> {
        self.seals.keys().map(|index| self.receipt(*index)).collect()
    }

    /// How many bytes are held.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.bytes()
    }

    /// Whether `receipts` make a file of `size` bytes: each held part exactly once, in order, without a gap.
    pub(super) fn check_finish(&self, size: u64, receipts: &[Receipt]) -> Result<(), Refusal> {
        if self.in_flight > 0 {
            return Err(rule("finish while parts are under way"));
        }
        if receipts != self.holds() {
            return Err(rule(format!("the receipts {receipts:?} are not those of the parts that were sent, in order")));
        }
        let mut end = 0;
        for receipt in receipts {
            if receipt.range.start != end {
                return Err(rule(format!("part {} begins at {}, not at {end}", receipt.index, receipt.range.start)));
            }
            end = receipt.range.end;
        }
        if end != size {
            let what = format!("the parts have {end} bytes, the file should have {size}");
            return Err(Refusal::Rule(Error::new(Kind::Corrupt, "memory", what)));
        }
        if self.rules.hold_back > 0 && self.last.is_none() {
            return Err(rule("finish before the last part"));
        }
        Ok(())
    }

    /// The file, once [`Session::check_finish`] has said yes.
    pub(super) fn into_file(self) -> Stored {
        self.parts.into_file()
    }
}
