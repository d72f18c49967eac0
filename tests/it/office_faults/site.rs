//! What the tests of faults share: a portal, programs that use a mount of it, and what the portal itself has afterwards.

use std::time::Duration;

use bytes::Bytes;
use uploadfs::error::Result;
use uploadfs::portal::onlyoffice::Generation;

use crate::support::clock::turned;
pub(super) use crate::support::desk::{Desk, each, write_into};
use crate::support::desk::{NAME, path, sha256};
use crate::support::office::{CHUNK, Office};
use crate::support::upload::{any, text};

/// The size of a file in 3.4 chunks, in bytes.
const LARGE: usize = (34 * CHUNK / 10) as usize;
/// The size of a file below a chunk, in bytes.
const SMALL: usize = (CHUNK * 6 / 10) as usize;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// One chunk, not full.
    Small,
    /// 3.4 chunks.
    Large,
}

impl Size {
    pub(super) const ALL: [Size; 2] = [Size::Small, Size::Large];

    pub(super) fn bytes(self) -> usize {
        match self {
            Size::Small => SMALL,
            Size::Large => LARGE,
        }
    }

    /// How many chunks it has.
    pub(super) fn chunks(self) -> u64 {
        (self.bytes() as u64).div_ceil(CHUNK)
    }
}

/// What stands there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// Another file of the name.
    Old,
}

/// One upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) generation: Generation,
    pub(super) size: Size,
    pub(super) before: Before,
}

impl Scene {
    /// Every upload there is.
    pub(super) fn all(generation: Generation) -> impl Iterator<Item = Scene> {
        let befores = [Before::Nothing, Before::Old];
        let each = move |before| Size::ALL.map(|size| Scene { generation, size, before });
        befores.into_iter().flat_map(each)
    }

    /// Whether an upload makes a new version of what is there.
    pub(super) fn has_versions(self) -> bool {
        matches!(self.generation, Generation::G2 | Generation::G3)
    }
}

/// What the portal has of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) sha256: String,
    pub(super) versions: usize,
}

/// A portal in the middle of a case.
pub(super) struct Site {
    pub(super) office: Office,
    pub(super) scene: Scene,
    old: Bytes,
}

impl Site {
    /// A portal with what stands there before, written by somebody else.
    pub(super) fn new(scene: Scene) -> Site {
        let office = Office::small(scene.generation);
        let old = text(1000, 7);
        if scene.before == Before::Old {
            turned(&office.portal, async |line| {
                let client = office.client_through(line);
                client.connect().await.unwrap();
                any(&*client, &path(), &old).await.unwrap();
            });
        }
        Site { office, scene, old }
    }

    /// Runs programs that use a mount of the portal, on a clock that is turned by hand.
    pub(super) fn run<T>(&self, deadline: Duration, work: impl AsyncFnOnce(&Desk) -> T) -> T {
        turned(&self.office.portal, async |line| {
            let desk = Desk::new(self.office.client_through(line), deadline);
            let done = work(&desk).await;
            desk.drained().await;
            done
        })
    }

    /// What the portal has; at most one file, whole, under exactly this title.
    #[track_caller]
    pub(super) fn kept(&self) -> Option<Kept> {
        let files = self.office.state().files.into_iter().filter(|file| file.path.starts_with("/My documents/"));
        let files: Vec<_> = files.collect();
        assert!(files.len() <= 1, "more than one file: {files:?}");
        let file = files.into_iter().next()?;
        assert_eq!(file.path, format!("/My documents/{NAME}"));
        assert_eq!(file.bytes, file.stored_bytes, "a size that is not true");
        Some(Kept { sha256: file.sha256, versions: file.versions })
    }

    /// What the portal has after somebody wrote `bytes` over `before` and was told this: old or new, and new where it was
    /// said so.
    #[track_caller]
    pub(super) fn judge(&self, before: Option<&Kept>, bytes: &[u8], told: &Result<()>) -> Option<Kept> {
        let (kept, whole) = (self.kept(), self.replaced(before, bytes));
        match told {
            Ok(()) => assert_eq!(kept, Some(whole), "it was said to be there"),
            Err(error) => {
                let is_old = kept.as_ref() == before;
                assert!(is_old || kept == Some(whole), "neither old nor new: {kept:?} over {before:?}, told {error}");
            }
        }
        kept
    }

    /// What the portal has once the fault is over and what a failed close has left was sent by a person: exactly one
    /// version of it. `kept` is what it had before that.
    pub(super) async fn recovered(
        &self,
        desk: &Desk,
        kept: Option<Kept>,
        bytes: &[u8],
        told: &Result<()>,
    ) -> Option<Kept> {
        let is_parked = desk.is_parked(bytes, told).await;
        self.office.portal.clear_faults();
        if !is_parked {
            return kept;
        }
        desk.retry().await.unwrap();
        let whole = Some(self.replaced(self.untouched().as_ref(), bytes));
        assert_eq!((self.kept(), desk.entries()), (whole.clone(), 0), "sent again after {told:?}");
        whole
    }

    /// The client broke no rule, but for what a fault forces on it: forms whose bodies were cut, and chunks of one byte in
    /// place of those of which it cannot know whether they are there.
    #[track_caller]
    pub(super) fn assert_no_violations(&self, forced: bool) {
        let is_forced = |what: &str| what.starts_with("a request without the file") || what.contains("has 1 bytes");
        let mut violations = self.office.portal.violations();
        violations.retain(|broken| !(forced && is_forced(&broken.what)));
        assert_eq!(violations, []);
    }

    /// What the portal had before anybody wrote.
    pub(super) fn untouched(&self) -> Option<Kept> {
        (self.scene.before == Before::Old).then(|| Kept { sha256: sha256(&self.old), versions: 1 })
    }

    /// What it has after `bytes` came over `before`.
    pub(super) fn replaced(&self, before: Option<&Kept>, bytes: &[u8]) -> Kept {
        let versions = match before {
            None => 1,
            Some(kept) => kept.versions + usize::from(self.scene.has_versions()),
        };
        Kept { sha256: sha256(bytes), versions }
    }
}
