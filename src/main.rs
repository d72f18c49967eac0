//! x
use std::sync::Arc;
use std::time::Duration;
fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let service = Arc::new(uploadfs::service::memory::Memory::new(uploadfs::service::memory::MemoryConfig::friendly()));
    let s = Duration::from_secs;
    let options = uploadfs::config::MountOptions {
        memory_bytes: 128 << 20,
        chunk_bytes: 1 << 20,
        spool: "/tmp/spool".into(),
        spool_bytes_max: 64 << 30,
        dir_cache: s(5),
        close_deadline: s(600),
        metadata_deadline: s(30),
        drain: s(90),
        allow_other: false,
    };
    uploadfs::mount::run(
        "memory",
        uploadfs::service::layer::stack(service),
        std::env::args().nth(1).unwrap().as_ref(),
        &options,
    )
}
