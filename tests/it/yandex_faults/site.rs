//! What the tests of faults share: a wiki, programs that use a mount of it, and what the wiki itself has afterwards.

use std::time::Duration;

use bytes::Bytes;
use uploadfs::error::Result;
use uploadfs::portal::yandex_wiki::{IAM_TOKEN, ROOT_SLUG};

use crate::support::clock::turned;
pub(super) use crate::support::desk::{Desk, each, write_into};
use crate::support::desk::{NAME, path, sha256};
use crate::support::upload::{any, text};
use crate::support::yandex::{PART, Yandex};

/// The size of a file in 3.4 parts, in bytes.
const LARGE: usize = (34 * PART / 10) as usize;
/// The size of a file below a part, in bytes.
const SMALL: usize = (PART * 6 / 10) as usize;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// One part, not full.
    Small,
    /// 3.4 parts.
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

    /// How many parts it has.
    pub(super) fn parts(self) -> u64 {
        (self.bytes() as u64).div_ceil(PART)
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
    pub(super) size: Size,
    pub(super) before: Before,
}

impl Scene {
    /// Every upload there is.
    pub(super) fn all() -> impl Iterator<Item = Scene> {
        let each = |before| Size::ALL.map(|size| Scene { size, before });
        [Before::Nothing, Before::Old].into_iter().flat_map(each)
    }
}

/// Whether the old file can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Old {
    Goes,
    /// The wiki does not let it go: it stays beside the new one.
    MayStay,
}

/// What the wiki has of the file: the digests of all attachments of the name, in the order of their making.
pub(super) type Kept = Vec<String>;

/// A wiki in the middle of a case.
pub(super) struct Site {
    pub(super) yandex: Yandex,
    pub(super) scene: Scene,
    old: Bytes,
}

impl Site {
    /// A wiki with what stands there before, attached by somebody else.
    pub(super) fn new(scene: Scene) -> Site {
        Site::on(Yandex::cloud(), scene)
    }

    pub(super) fn on(yandex: Yandex, scene: Scene) -> Site {
        let old = text(1000, 7);
        if scene.before == Before::Old {
            turned(&yandex.portal, async |line| {
                any(&*yandex.client_through(line), &path(), &old).await.unwrap();
            });
        }
        Site { yandex, scene, old }
    }

    /// Runs programs that use a mount of the wiki, on a clock that is turned by hand. Another token lies where the client
    /// finds it when it is told that the one it has is no good any more.
    pub(super) fn run<T>(&self, deadline: Duration, work: impl AsyncFnOnce(&Desk) -> T) -> T {
        turned(&self.yandex.portal, async |line| {
            let desk = Desk::new(self.yandex.client_through(line), deadline);
            self.renew();
            let done = work(&desk).await;
            desk.drained().await;
            done
        })
    }

    /// Writes a token that nobody has used yet.
    pub(super) fn renew(&self) {
        self.yandex.renew(&format!("{IAM_TOKEN}.{:x}", fastrand::u64(..)));
    }

    /// What the wiki has; whole, under exactly this name.
    #[track_caller]
    pub(super) fn kept(&self) -> Kept {
        let files = self.yandex.state().files;
        let here = format!("/{ROOT_SLUG}/{NAME}");
        assert!(files.iter().all(|file| file.path == here), "something else: {files:?}");
        files.into_iter().map(|file| file.sha256).collect()
    }

    /// What the wiki has after somebody wrote `bytes` over `before` and was told this: new where it was said so, old or
    /// new otherwise.
    #[track_caller]
    pub(super) fn judge(&self, before: &Kept, bytes: &[u8], told: &Result<()>) -> Kept {
        self.judge_with(before, bytes, told, Old::Goes)
    }

    /// The same where the old file may not be taken away.
    #[track_caller]
    pub(super) fn judge_with(&self, before: &Kept, bytes: &[u8], told: &Result<()>, old: Old) -> Kept {
        let kept = self.kept();
        let is_new = kept == [sha256(bytes)];
        let is_both = !before.is_empty() && kept == [before.as_slice(), &[sha256(bytes)]].concat();
        match told {
            Ok(()) => {
                assert!(is_new || (is_both && old == Old::MayStay), "it was said to be there: {kept:?} over {before:?}")
            }
            Err(error) => assert!(
                is_new || is_both || kept == *before,
                "neither old nor new: {kept:?} over {before:?}, told {error}"
            ),
        }
        kept
    }

    /// The wiki has `bytes` as its newest, and no file that a write without trouble would have taken away.
    #[track_caller]
    pub(super) fn assert_settled(&self, before: &Kept, bytes: &[u8]) {
        let kept = self.kept();
        let (last, others) = kept.split_last().expect("a file");
        assert_eq!(*last, sha256(bytes), "it was said to be there");
        // A second one that an earlier trouble left is shown, as a twin is.
        let left = &before[..before.len().saturating_sub(1)];
        assert!(others.is_empty() || others == left, "{kept:?} after {before:?}");
    }

    /// What the wiki has once the fault is over and what a failed close has left was sent by a person: that, once. `kept` is
    /// what it had before that.
    pub(super) async fn recovered(&self, desk: &Desk, kept: Kept, bytes: &[u8], told: &Result<()>) -> Kept {
        let is_parked = desk.is_parked(bytes, told).await;
        self.yandex.portal.clear_faults();
        self.renew();
        if !is_parked {
            return kept;
        }
        desk.retry().await.unwrap();
        self.assert_settled(&kept, bytes);
        assert_eq!(desk.entries(), 0, "sent again after {told:?}");
        self.kept()
    }

    /// The client broke no rule, told storage no credential, left no session but those whose making was not answered, and
    /// gave up nobody else's.
    #[track_caller]
    pub(super) fn assert_in_order(&self, orphans_max: usize) {
        let state = self.yandex.state();
        assert_eq!(state.violations, []);
        assert_eq!(state.requests.get("abort_all"), None);
        assert!(state.sessions.len() <= orphans_max, "sessions that are left: {:?}", state.sessions);
    }

    /// What the wiki had before anybody wrote.
    pub(super) fn untouched(&self) -> Kept {
        match self.scene.before {
            Before::Nothing => Vec::new(),
            Before::Old => vec![sha256(&self.old)],
        }
    }
}
