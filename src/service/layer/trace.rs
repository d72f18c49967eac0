//! One log line per failed operation: what, on which service, about which path, how long, and the error with its
//! advice. Successes are `debug`. Bodies, tokens and session ids are never part of a line, and names and server texts
//! are escaped and capped by the types that print them.

use std::time::Instant;

use super::{Answer, Call, Layer};
use crate::error::{Error, Kind, Result};
use crate::service::Operation;

/// The layer that writes the lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace;

impl Layer for Trace {
    async fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        run: impl Fn() -> Answer<'a, T> + Send + Sync + 'a,
    ) -> Result<T> {
        let start = Instant::now();
        let answer = run().await;
        let Call { operation, service, subject, bytes } = call;
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &answer {
            Ok(_) => tracing::debug!(%service, path = %subject, bytes, ms, "{operation} done"),
            Err(error) if is_an_answer(operation, error) => {
                tracing::debug!(%service, path = %subject, ms, "{operation}: {error}");
            }
            Err(error) => {
                tracing::warn!(%service, path = %subject, bytes, ms, kind = ?error.kind, "{operation} failed: {error}");
            }
        }
        answer
    }
}

/// Whether the error is what the question asks: programs look for files that are not there all the time.
fn is_an_answer(operation: Operation, error: &Error) -> bool {
    operation == Operation::Stat && error.kind == Kind::NotFound
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::super::Layered;
    use super::super::fault::{Fault, Faults, When};
    use super::*;
    use crate::path::RemotePath;
    use crate::service::memory::{Memory, MemoryConfig};
    use crate::service::{Payload, Service, Spec};

    /// Collects log lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Lines;
        fn make_writer(&self) -> Lines {
            self.clone()
        }
    }

    /// What is logged while `work` runs.
    async fn logged(level: tracing::Level, work: impl Future<Output = ()>) -> Vec<String> {
        let lines = Lines::default();
        let subscriber =
            tracing_subscriber::fmt().with_max_level(level).with_writer(lines.clone()).with_ansi(false).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        work.await;
        drop(guard);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn traced(faults: &Arc<Faults>) -> Arc<dyn Service> {
        let memory = Arc::new(Memory::new(MemoryConfig::friendly()));
        Layered::wrap(Layered::wrap(memory, faults.clone()), Trace)
    }

    #[tokio::test]
    async fn a_failure_is_one_line_that_says_what_failed() {
        let faults = Faults::new();
        let error = Error::new(Kind::Denied, "upload", "the server says:\nno\x1b[31m").hint("ask an administrator");
        faults.add(Operation::Mkdir, When::Always, Fault::Before(error));
        let service = traced(&faults);
        let lines = logged(tracing::Level::WARN, async {
            service.mkdir(&RemotePath::parse("some dir").unwrap()).await.unwrap_err();
            service.stat(&RemotePath::parse("missing").unwrap()).await.unwrap_err();
            service.stat(&RemotePath::root()).await.unwrap();
        })
        .await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        for part in ["WARN", "mkdir failed", "service=memory", "/some dir", "\\u{a}no", "ask an administrator"] {
            assert!(lines[0].contains(part), "{part:?} in {}", lines[0]);
        }
    }

    #[tokio::test]
    async fn no_line_has_a_body_or_a_session() {
        let faults = Faults::new();
        let service = traced(&faults);
        let mut id = String::new();
        let lines = logged(tracing::Level::TRACE, async {
            let path = RemotePath::parse("f").unwrap();
            let spec = Spec { path, size: Some(6), sha1: None, replaces: None };
            service.put_whole(&spec, Payload::from_bytes("SECRET".into(), 0)).await.unwrap();
            let token = service.begin(&spec, None).await.unwrap().token;
            service.abort(&token).await.unwrap();
            id = token.id;
        })
        .await;
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("DEBUG") && !line.contains("SECRET") && !line.contains(&id)));
    }
}
