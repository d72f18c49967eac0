//! What several integration tests need: services to test against, a straightforward uploader, a mount with programs, the
//! real daemon, a mount without a kernel, a proxy that fails as told, a bare HTTP client, a disk that is read up to a gate.

pub(crate) mod clock;
pub(crate) mod cloud;
pub(crate) mod daemon;
pub(crate) mod desk;
pub(crate) mod fixture;
pub(crate) mod mount;
pub(crate) mod office;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod slow;
pub(crate) mod upload;
pub(crate) mod wiki;
pub(crate) mod yandex;
