//! The services behind one face: a portal of its own for each run, with what stands there before, and what it has
//! afterwards.

use std::sync::Arc;

use bytes::Bytes;
use uploadfs::portal::onlyoffice::Generation;
use uploadfs::portal::yandex_wiki::{IAM_TOKEN, ROOT_SLUG};
use uploadfs::portal::{FileState, Portal};
use uploadfs::service::Service;
use uploadfs::service::yandex_cloud::Dialect;

use crate::support::clock::{Line, turned};
use crate::support::cloud::Cloud;
use crate::support::desk::{NAME, path, sha256};
use crate::support::office::{CHUNK, Office};
use crate::support::upload::{any, text};
use crate::support::yandex::{PART, Yandex};

/// Bytes of a file at a cloud: some pieces, and nothing that groups of three end with.
const CLOUD_BYTES: usize = 70_000;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Office(Generation),
    Wiki,
    Cloud(Dialect),
}

/// One upload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    what: What,
    /// Of the new file, in bytes.
    pub(super) size: usize,
    /// Whether another file of the name is there.
    over_old: bool,
}

impl Scene {
    /// Every upload there is, or the longest only.
    pub(super) fn all(what: What, all: bool) -> Vec<Scene> {
        let part = match what {
            What::Office(_) => CHUNK,
            What::Wiki => PART,
            What::Cloud(_) => {
                let scene = |over_old| Scene { what, size: CLOUD_BYTES, over_old };
                return if all { vec![scene(true), scene(false)] } else { vec![scene(true)] };
            }
        };
        // 3.4 parts, and one that is not full.
        let sizes = [34, 6].map(|tenths| usize::try_from(tenths * part / 10).unwrap());
        let scenes = sizes.into_iter().flat_map(|size| [true, false].map(|over_old| Scene { what, size, over_old }));
        scenes.take(if all { 4 } else { 1 }).collect()
    }
}

enum Server {
    Office(Office),
    Wiki(Yandex),
    Cloud(Cloud),
}

/// A service in the middle of a run.
pub(super) struct Place {
    scene: Scene,
    server: Server,
    old: Bytes,
}

impl Place {
    pub(super) fn new(scene: Scene) -> Place {
        let server = match scene.what {
            What::Office(generation) => Server::Office(Office::small(generation)),
            What::Wiki => Server::Wiki(Yandex::cloud()),
            What::Cloud(dialect) => Server::Cloud(Cloud::new(dialect)),
        };
        let place = Place { scene, server, old: text(1000, 7) };
        if scene.over_old {
            place.run(async |line| {
                let client = place.client(line);
                any(&*client, &path(), &place.old).await.unwrap();
            });
        }
        place
    }

    /// Runs work on a clock that is turned by hand.
    pub(super) fn run<T>(&self, work: impl AsyncFnOnce(&Line) -> T) -> T {
        turned(self.portal(), work)
    }

    pub(super) fn portal(&self) -> &Portal {
        match &self.server {
            Server::Office(office) => &office.portal,
            Server::Wiki(yandex) => &yandex.portal,
            Server::Cloud(cloud) => &cloud.portal,
        }
    }

    pub(super) fn client(&self, line: &Line) -> Arc<dyn Service> {
        match &self.server {
            Server::Office(office) => office.client_through(line),
            Server::Wiki(yandex) => yandex.client_through(line),
            Server::Cloud(cloud) => cloud.client_through(line),
        }
    }

    /// Another token lies where the client looks for one when the one it has is no good any more.
    pub(super) fn renew(&self) {
        if let Server::Wiki(yandex) = &self.server {
            yandex.renew(&format!("{IAM_TOKEN}.{:x}", fastrand::u64(..)));
        }
    }

    /// The fault ends.
    pub(super) fn heal(&self) {
        self.portal().clear_faults();
        self.renew();
    }

    /// Everything where the file belongs.
    fn files(&self) -> Vec<FileState> {
        let folder = match &self.server {
            Server::Office(_) => "/My documents/".to_owned(),
            Server::Wiki(_) => format!("/{ROOT_SLUG}/"),
            Server::Cloud(_) => "/".to_owned(),
        };
        let files = self.portal().state().unwrap().files;
        files.into_iter().filter(|file| file.path.starts_with(&folder)).collect()
    }

    /// Checksum and number of versions of everything there, all under exactly this name.
    #[track_caller]
    fn kept(&self) -> Vec<(String, usize)> {
        let files = self.files();
        assert!(files.iter().all(|file| file.path.ends_with(&format!("/{NAME}"))), "something else: {files:?}");
        files.into_iter().map(|file| (file.sha256, file.versions)).collect()
    }

    fn before(&self) -> Vec<(String, usize)> {
        if self.scene.over_old { vec![(sha256(&self.old), 1)] } else { Vec::new() }
    }

    fn after(&self, new: &[u8]) -> Vec<(String, usize)> {
        let has_versions = matches!(self.scene.what, What::Office(Generation::G2 | Generation::G3));
        vec![(sha256(new), 1 + usize::from(self.scene.over_old && has_versions))]
    }

    /// The file is there, once, as exactly one version more.
    #[track_caller]
    pub(super) fn assert_has(&self, new: &[u8], context: &str) {
        assert_eq!(self.kept(), self.after(new), "{context}");
    }

    /// While a fault lasts: what was there before, or the new file, or, where the old one goes last, both; never a part of
    /// anything.
    #[track_caller]
    pub(super) fn assert_old_or_new(&self, new: &[u8]) {
        let (kept, before, after) = (self.kept(), self.before(), self.after(new));
        let is_both = kept.len() == 2 && kept.contains(&after[0]) && before.iter().all(|old| kept.contains(old));
        assert!(kept == before || kept == after || is_both, "neither old nor new: {kept:?}");
    }

    /// The client broke no rule, but for what a fault forces on it: forms whose bodies were cut, and chunks of one byte in
    /// place of those of which it cannot know whether they are there.
    #[track_caller]
    pub(super) fn assert_in_order(&self) {
        let is_forced = |what: &str| what.starts_with("a request without the file") || what.contains("has 1 bytes");
        let mut violations = self.portal().violations();
        violations.retain(|broken| !(matches!(self.server, Server::Office(_)) && is_forced(&broken.what)));
        assert_eq!(violations, []);
    }
}
