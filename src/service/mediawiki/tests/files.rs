//! Listings, look-ups and downloads of a wiki that means ill.

use super::*;

#[tokio::test]
async fn a_listing_goes_on_where_it_stopped_and_shows_only_what_can_be_opened() {
    let fake = Fake::new(|seen| {
        if !seen.has("aicontinue") {
            let names = ["A.bin", "..", "", "a/b", "c\nd", "."].map(|name| image(name, 1).as_object().unwrap().clone());
            let mut images: Vec<Value> = names.into_iter().map(Value::Object).collect();
            for (image, name) in images.iter_mut().zip(["A.bin", "..", "", "a/b", "c\nd", "."]) {
                image["name"] = json!(name);
            }
            images.push(json!({ "name": "No_size.bin", "url": "u" }));
            return ok(json!({ "continue": { "aicontinue": "B.bin" }, "query": { "allimages": images } }));
        }
        ok(json!({ "continue": { "aicontinue": "B.bin" }, "query": { "allimages": [] } }))
    })
    .await;
    let root = RemotePath::root();
    let page = fake.wiki.list(&root, None).await.unwrap();
    assert_eq!(page.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["A.bin"]);
    let error = fake.wiki.list(&root, page.next.as_deref()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Protocol, "a listing in circles");
}

#[tokio::test]
async fn files_of_other_wikis_and_redirects_are_not_there() {
    let page = |repository: &'static str, canonical: &'static str| {
        move |_: &Seen| {
            let image = json!({ "size": 1, "url": "u", "canonicaltitle": canonical });
            ok(
                json!({ "query": { "pages": [{ "title": "Datei:A b.bin", "imagerepository": repository, "imageinfo": [image] }] } }),
            )
        }
    };
    let stat = async |script| Fake::new(script).await.wiki.stat(&path("a_b.bin")).await.map(|node| node.name);
    assert_eq!(stat(page("local", "Datei:A b.bin")).await.unwrap(), "A_b.bin");
    assert_eq!(stat(page("shared", "Datei:A b.bin")).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(stat(page("local", "Datei:C.bin")).await.unwrap_err().kind, Kind::NotFound);
}

/// Reads bytes 2 to 5 of a file of 10 bytes from a server that answers with `file`.
async fn read(file: Download) -> (Result<Bytes>, Vec<Seen>) {
    let fake = Fake::new(move |seen| match seen.path.as_str() {
        "/w/api.php" => ok(json!({ "query": { "pages": [{ "title": "File:A.bin", "imagerepository": "local",
            "imageinfo": [image("A.bin", 10)] }] } })),
        _ => file(seen),
    })
    .await;
    let node = fake.wiki.stat(&path("a.bin")).await.unwrap();
    let first = fake.wiki.read(&path("a.bin"), &node, 2..6).await;
    if first.is_ok() {
        assert_eq!(fake.wiki.read(&path("a.bin"), &node, 2..6).await.unwrap(), first.clone().unwrap());
    }
    let downloads = fake.asked().into_iter().filter(|seen| seen.path != "/w/api.php").collect();
    (first, downloads)
}

fn partial(range: &str, body: &'static str) -> Reply {
    let mut reply = reply(206, "application/octet-stream", body);
    reply.headers_mut().insert("content-range", format!("bytes {range}").parse().unwrap());
    reply.headers_mut().insert("etag", "\"v1\"".parse().unwrap());
    reply
}

#[tokio::test]
async fn a_read_is_exactly_what_was_asked_for() {
    let (got, downloads) = read(|_| partial("2-5/10", "2345")).await;
    assert_eq!(got.unwrap(), "2345");
    assert_eq!(downloads[0].range.as_deref(), Some("bytes=2-5"));
    assert_eq!((downloads[0].if_range.as_deref(), downloads[1].if_range.as_deref()), (None, Some("\"v1\"")));
    let (got, _) = read(|_| reply(200, "application/octet-stream", "0123456789")).await;
    assert_eq!(got.unwrap(), "2345", "a server that knows no ranges");
    let wrong: [(Download, Kind); 7] = [
        (|_| partial("2-5/11", "2345"), Kind::Conflict),
        (|_| partial("3-6/10", "3456"), Kind::Corrupt),
        (|_| partial("2-5/10", "234"), Kind::Corrupt),
        (|_| partial("2-5/10", "23456"), Kind::Corrupt),
        (|_| reply(200, "application/octet-stream", "012"), Kind::Conflict),
        (|_| reply(200, "text/html", "<html>sign in"), Kind::Protocol),
        (|_| reply(404, "text/html", "gone"), Kind::NotFound),
    ];
    for (number, (file, kind)) in wrong.into_iter().enumerate() {
        assert_eq!(read(file).await.0.unwrap_err().kind, kind, "{number}");
    }
}

#[tokio::test]
async fn bytes_are_fetched_from_the_wiki_only() {
    static CANARY: OnceLock<String> = OnceLock::new();
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    CANARY.set(canary.local_addr().unwrap().to_string()).unwrap();
    let fake = Fake::new(|_| panic!("nothing is asked")).await;
    fake.wiki.connect().await.unwrap();
    let urls =
        [format!("http://{}/x", CANARY.get().unwrap()), "file:///etc/passwd".into(), "https://good@evil/".into()];
    for url in urls {
        let node = Node {
            id: url.clone(),
            ..serde_json::from_value::<answers::Image>(image("A.bin", 10)).unwrap().node("A.bin".into()).unwrap()
        };
        let error = fake.wiki.read(&path("a.bin"), &node, 0..5).await.unwrap_err();
        assert_eq!(error.kind, Kind::Protocol, "{url}");
    }
    assert!(fake.asked().is_empty());
    assert!(tokio::time::timeout(Duration::from_millis(1), canary.accept()).await.is_err());
}
