//! What a portal says of itself before anybody signs in: its version, the size of a chunk, how many may come at once.

use super::answers::{SettingsDto, VersionDto};
use super::api::{Api, Trouble};
use super::codes::Refusal;
use super::generation::{Generation, Version};
use crate::error::{Error, Kind, Result};
use crate::http::Method;

/// The operation, in errors.
const OP: &str = "version";
/// The chunk size of a portal that does not tell, in bytes.
const CHUNK_BYTES: u64 = 10 << 20;
/// No portal takes larger requests than this, in bytes; a larger chunk size is not believed.
const CHUNK_BYTES_MAX: u64 = 100 << 20;
/// Chunks of one file at once: enough to fill a line with a round trip of 100 ms, few enough that several files share it.
const WIDTH: usize = 3;

/// What is known of a portal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) version: Version,
    /// The size of every chunk but the last, in bytes.
    pub(super) chunk_bytes: u64,
    /// Chunks of one file at once.
    pub(super) width: usize,
}

impl Site {
    /// A portal nobody has asked yet.
    pub(super) fn unknown() -> Site {
        let version = Version::docspace("2.5").expect("a version");
        Site { version, chunk_bytes: CHUNK_BYTES, width: WIDTH }
    }

    /// Asks the portal; `chunk_bytes` is for one that does not tell its chunk size.
    ///
    /// # Errors
    /// `Protocol` when it is no portal; what keeps it from answering.
    pub(super) async fn ask(api: &Api, chunk_bytes: Option<u64>) -> Result<Site> {
        let untold = chunk_bytes.unwrap_or(CHUNK_BYTES);
        let call = api.call(OP, Method::Get, &["settings", "version", "build"]);
        let versions: VersionDto = api.exchange(call, None).await.map_err(no_portal)?;
        let docspace = versions.doc_space.as_deref().and_then(Version::docspace);
        let version = docspace.or_else(|| versions.community_server.as_deref().and_then(Version::community));
        let Some(version) = version else {
            let error = Error::new(Kind::Protocol, OP, "the portal does not say which version it has");
            return Err(error.hint("only DocSpace and CommunityServer (Workspace) are known"));
        };
        if version.generation() == Generation::Community {
            return Ok(Site { version, chunk_bytes: untold, width: 1 });
        }
        let call = api.call(OP, Method::Get, &["files", "settings"]);
        let settings = match api.exchange::<SettingsDto>(call, None).await {
            Ok(settings) => settings,
            // The first ones do not tell.
            Err(Trouble::Refused(Refusal { status: 400..=404, .. })) => SettingsDto::default(),
            Err(trouble) => return Err(trouble.into_error(OP)),
        };
        let told = settings.chunk_upload_size.filter(|bytes| (1..=CHUNK_BYTES_MAX).contains(bytes));
        let width = settings.max_upload_thread_count.map_or(WIDTH, |threads| threads.clamp(1, WIDTH));
        Ok(Site { version, chunk_bytes: told.unwrap_or(untold), width })
    }
}

/// Whoever does not know its own version is something else.
fn no_portal(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Refused(refusal) if matches!(refusal.status, 400..=405) => {
            let what = format!("there is no portal at this address (HTTP {})", refusal.status);
            Error::new(Kind::Protocol, OP, what).hint("url is the address that a browser opens the portal with")
        }
        trouble => trouble.into_error(OP),
    }
}
