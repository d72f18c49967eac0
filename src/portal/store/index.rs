//! The index: a log of changes, one line of JSON for each step, replayed and rewritten short at every start. One thread
//! writes it and removes blobs, in the order of submission.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::future::Future;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Records;

/// The log.
const NAME: &str = "index";
/// Its next version while it is written.
const NEW_NAME: &str = "index.new";

/// One record comes, changes or goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Change {
    key: String,
    /// `None`: it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
}

impl Change {
    pub(in super::super) fn put(key: impl Into<String>, value: &impl Serialize) -> Change {
        let value = serde_json::to_value(value).expect("records are made of what JSON has");
        Change { key: key.into(), value: Some(value) }
    }

    pub(in super::super) fn remove(key: impl Into<String>) -> Change {
        Change { key: key.into(), value: None }
    }

    fn apply(self, records: &mut Records) {
        match self.value {
            Some(value) => records.insert(self.key, value),
            None => records.remove(&self.key),
        };
    }
}

/// Resolves when a step is written.
#[derive(Debug)]
#[must_use = "what is not awaited may not be there after a restart"]
pub(in super::super) struct Receipt(oneshot::Receiver<io::Result<()>>);

impl Future for Receipt {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or_else(|gone| Err(io::Error::other(gone))))
    }
}

/// What the thread does, in order.
enum Job {
    Step {
        changes: Vec<Change>,
        garbage: Vec<u64>,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// A blob that was given up, and whoever may still be writing it.
    Remove {
        blob: u64,
        writing: Option<JoinHandle<io::Result<File>>>,
    },
}

/// Removes blobs that were given up.
#[derive(Clone, Debug)]
pub(super) struct Remover(mpsc::UnboundedSender<Job>);

impl Remover {
    pub(super) fn remove(&self, blob: u64, writing: Option<JoinHandle<io::Result<File>>>) {
        // With the store gone, the next start sweeps.
        let _ = self.0.send(Job::Remove { blob, writing });
    }
}

/// The way to the thread. The thread ends when the last sender is gone.
#[derive(Debug)]
pub(super) struct Index {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Index {
    pub(super) fn open(directory: &Path, blobs: PathBuf) -> io::Result<(Index, Records)> {
        let path = directory.join(NAME);
        let records = replay(&path)?;
        let log = rewrite(directory, &path, &records)?;
        let (jobs, received) = mpsc::unbounded_channel();
        std::thread::Builder::new().name("portal-index".into()).spawn(move || serve(received, log, &blobs))?;
        Ok((Index { jobs }, records))
    }

    pub(super) fn remover(&self) -> Remover {
        Remover(self.jobs.clone())
    }

    pub(super) fn submit(&self, changes: Vec<Change>, garbage: Vec<u64>) -> Receipt {
        let (done, receipt) = oneshot::channel();
        // A thread that is gone drops `done`, which the receipt answers.
        let _ = self.jobs.send(Job::Step { changes, garbage, done });
        Receipt(receipt)
    }
}

fn replay(path: &Path) -> io::Result<Records> {
    let mut records = BTreeMap::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(records),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).split(b'\n') {
        // The last line of a process that was killed may be half a line: that step was never acknowledged.
        let Ok(changes) = serde_json::from_slice::<Vec<Change>>(&line?) else { break };
        changes.into_iter().for_each(|change| change.apply(&mut records));
    }
    Ok(records)
}

/// Writes the records without their past, and leaves the log open at its end.
fn rewrite(directory: &Path, path: &Path, records: &Records) -> io::Result<File> {
    let new = directory.join(NEW_NAME);
    let mut writer = BufWriter::new(File::create(&new)?);
    for (key, value) in records {
        write_line(&mut writer, &[Change { key: key.clone(), value: Some(value.clone()) }])?;
    }
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    fs::rename(new, path)?;
    Ok(file)
}

fn write_line(writer: &mut impl Write, changes: &[Change]) -> io::Result<()> {
    let mut line = serde_json::to_vec(changes)?;
    line.push(b'\n');
    // In one call, so that what a killed process leaves is at most one half line, at the end.
    writer.write_all(&line)
}

fn serve(mut jobs: mpsc::UnboundedReceiver<Job>, mut log: File, blobs: &Path) {
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Job::Step { changes, garbage, done } => {
                let written = if changes.is_empty() { Ok(()) } else { write_line(&mut log, &changes) };
                if written.is_ok() {
                    garbage.into_iter().for_each(|blob| remove(blobs, blob));
                }
                // Nobody waits where the client has gone away.
                let _ = done.send(written);
            }
            Job::Remove { blob, writing } => {
                if let Some(writing) = writing {
                    // It may end badly; what matters is that nobody makes the file after it was removed.
                    let _ = wait(writing);
                }
                remove(blobs, blob);
            }
        }
    }
}

/// Waits for a task from a thread without a runtime.
fn wait(task: JoinHandle<io::Result<File>>) -> io::Result<File> {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut task = task;
    loop {
        match Pin::new(&mut task).poll(&mut context) {
            Poll::Ready(answer) => return answer.map_err(io::Error::other)?,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn remove(blobs: &Path, blob: u64) {
    match fs::remove_file(blobs.join(blob.to_string())) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => tracing::warn!(%error, blob, "blob not removed"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn half_a_line_is_no_step() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let whole = serde_json::to_string(&[Change::put("a", &1), Change::put("b", &2)]).unwrap();
        fs::write(&path, format!("{whole}\n[{{\"key\":\"b\"}},{{\"key\":\"c\",\"val")).unwrap();
        let records = replay(&path).unwrap();
        assert_eq!(records, Records::from([("a".into(), json!(1)), ("b".into(), json!(2))]));
        rewrite(dir.path(), &path, &records).unwrap();
        assert_eq!(replay(&path).unwrap(), records);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn no_log_is_an_empty_store() {
        assert_eq!(replay(Path::new("/no/such/index")).unwrap(), Records::new());
    }
}
