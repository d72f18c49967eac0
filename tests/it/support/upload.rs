//! The plainest uploader that keeps the rules: the size is known, parts are cut one after the other. It shares no code
//! with the upload machine, so that a mistake there is not repeated here.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use uploadfs::error::Result;
use uploadfs::path::RemotePath;
use uploadfs::service::{
    Node, Part, PartRules, Payload, Progress, Receipt, Service, SessionToken, Sha1Digest, SizePolicy, Spec,
};

/// `size` bytes of text that differ by `seed`; text, because some services look into files.
pub(crate) fn text(size: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b'a' + u8::try_from((state >> 33) % 26).expect("a letter is a byte")
    };
    (0..size).map(letter).collect::<Vec<u8>>().into()
}

/// The parts of a file of `size` bytes; none for an empty file.
pub(crate) fn plan(size: u64, rules: &PartRules) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < size {
        let first = rules.first_max.filter(|_| at == 0).unwrap_or(u64::MAX);
        let want = rules.size.min(first) / rules.multiple * rules.multiple;
        let end = size.min(at + want);
        parts.push(at..end);
        at = end;
    }
    parts
}

/// One session upload, step by step.
pub(crate) struct Upload<'a> {
    pub(crate) service: &'a dyn Service,
    pub(crate) spec: Spec,
    pub(crate) parts: Vec<Part>,
    pub(crate) token: SessionToken,
    pub(crate) receipts: Vec<Receipt>,
}

impl<'a> Upload<'a> {
    /// Opens a session for `bytes` at `path`; where the rules say so, the first part has gone with it.
    pub(crate) async fn begin(service: &'a dyn Service, path: &RemotePath, bytes: &Bytes) -> Result<Upload<'a>> {
        let policy = service.capability().policy;
        let rules = *policy.rules().expect("a session upload needs a service with parts");
        let size = bytes.len() as u64;
        let mut parts: Vec<Part> = cut(bytes, &plan(size, &rules));
        let declared = matches!(policy, SizePolicy::Declared(_)).then_some(size);
        let spec = Spec { path: path.clone(), size: declared, sha1: None, replaces: None };
        let first = rules.opens_with_part.then(|| parts.remove(0));
        let begun = service.begin(&spec, first).await?;
        let receipts = begun.receipt.into_iter().collect();
        Ok(Upload { service, spec, parts, token: through_json(&begun.token), receipts })
    }

    /// Sends the next part in order; whether there was one.
    pub(crate) async fn put_next(&mut self) -> Result<bool> {
        if self.parts.is_empty() {
            return Ok(false);
        }
        let part = self.parts.remove(0);
        self.put(part).await?;
        Ok(true)
    }

    pub(crate) async fn put(&mut self, part: Part) -> Result<()> {
        let receipt = self.service.put(&self.spec, &self.token, part).await?;
        self.receipts.retain(|have| have.index != receipt.index);
        self.receipts.push(through_json(&receipt));
        Ok(())
    }

    /// Makes the file out of what was sent.
    pub(crate) async fn finish(&mut self, bytes: &Bytes) -> Result<Node> {
        self.receipts.sort_by_key(|receipt| receipt.index);
        let sha1 = self.service.capability().sha1.then(|| Sha1Digest::of(bytes));
        self.spec = Spec { size: Some(bytes.len() as u64), sha1, ..self.spec.clone() };
        self.service.finish(&self.spec, &self.token, &self.receipts).await
    }
}

/// The parts of `bytes` at `ranges`.
pub(crate) fn cut(bytes: &Bytes, ranges: &[Range<u64>]) -> Vec<Part> {
    let file = Payload::from_bytes(bytes.clone(), 0);
    let part = |(index, range): (usize, &Range<u64>)| Part {
        index: u32::try_from(index).expect("few parts"),
        payload: file.slice(range.clone()),
        last: range.end == bytes.len() as u64,
    };
    ranges.iter().enumerate().map(part).collect()
}

/// `value` as another process would find it in a journal.
pub(crate) fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("a session is data");
    serde_json::from_str(&text).expect("a session comes back")
}

/// Uploads in a session.
pub(crate) async fn by_session(service: &dyn Service, path: &RemotePath, bytes: &Bytes) -> Result<Node> {
    let mut upload = Upload::begin(service, path, bytes).await?;
    while upload.put_next().await? {}
    upload.finish(bytes).await
}

/// Uploads in one request.
pub(crate) async fn whole(service: &dyn Service, path: &RemotePath, bytes: &Bytes) -> Result<Node> {
    let sha1 = service.capability().sha1.then(|| Sha1Digest::of(bytes));
    let spec = Spec { path: path.clone(), size: Some(bytes.len() as u64), sha1, replaces: None };
    service.put_whole(&spec, Payload::from_bytes(bytes.clone(), 0)).await
}

/// The most bytes that `put_whole` takes.
pub(crate) fn whole_max(service: &dyn Service) -> u64 {
    match service.capability().policy {
        SizePolicy::Whole { max } => max,
        SizePolicy::Streamed(_) | SizePolicy::Declared(_) => service.capability().whole_max,
    }
}

/// Uploads by the road the service has for this size.
pub(crate) async fn any(service: &dyn Service, path: &RemotePath, bytes: &Bytes) -> Result<Node> {
    if bytes.len() as u64 <= whole_max(service) {
        whole(service, path, bytes).await
    } else {
        by_session(service, path, bytes).await
    }
}

/// What the service says of an upload when nothing of it can be under way any more.
pub(crate) async fn settled(
    service: &dyn Service,
    spec: &Spec,
    session: Option<(&SessionToken, &[Receipt])>,
) -> Progress {
    loop {
        match service.probe(spec, session).await.unwrap() {
            Progress::Unknown => tokio::time::sleep(Duration::from_millis(100)).await,
            progress => return progress,
        }
    }
}

/// All bytes of the file at `path`, as the service has it now.
pub(crate) async fn content(service: &dyn Service, path: &RemotePath) -> Result<Bytes> {
    let node = service.stat(path).await?;
    service.read(path, &node, 0..node.size).await
}

/// The names in the directory `path`, over all pages.
pub(crate) async fn names(service: &dyn Service, path: &RemotePath) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = service.list(path, cursor.as_deref()).await?;
        assert!(page.next != cursor || cursor.is_none(), "a listing that goes in circles");
        names.extend(page.nodes.into_iter().map(|node| node.name));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(names);
        }
    }
}
