//! The client against small servers: what reaches the wire, what never does, and what silence and cuts mean.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::any;
use bytes::Bytes;
use futures_util::{Stream, stream};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::error::Retry;

fn client(address: impl std::fmt::Display) -> Client {
    let settings =
        Settings { url: format!("http://{address}/api"), ca_file: None, proxy: None, cookies: Cookies::Keep };
    Client::new(&settings).unwrap()
}

async fn serve(app: Router) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    client
}

/// A server that does `script` with each connection.
async fn raw<F: Future<Output = ()> + Send>(script: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            script(listener.accept().await.unwrap().0).await;
        }
    });
    client
}

/// Reads until the head of a request is complete.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap() == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn post(client: &Client) -> Request {
    client.request("test", Method::Post, client.base().clone())
}

fn get(client: &Client) -> Request {
    client.request("test", Method::Get, client.base().clone())
}

fn pieces(count: usize, len: usize) -> impl Stream<Item = Result<Bytes>> + Send {
    stream::iter((0..count).map(move |_| Ok(Bytes::from(vec![b'x'; len]))))
}

async fn echo(headers: HeaderMap, body: Bytes) -> axum::Json<BTreeMap<String, String>> {
    let mut seen: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    seen.insert("body".into(), String::from_utf8_lossy(&body).into_owned());
    axum::Json(seen)
}

async fn seen(request: Request) -> BTreeMap<String, String> {
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_stream_announces_its_length_and_is_never_chunked() {
    let client = serve(Router::new().route("/api", any(echo))).await;
    let got = seen(post(&client).body(Body::stream(pieces(3, 5), 15))).await;
    assert_eq!(got["content-length"], "15");
    assert!(!got.contains_key("transfer-encoding"));
    assert_eq!(got["body"], "x".repeat(15));
    assert!(got["user-agent"].starts_with("uploadfs/"));
    assert!(!got.contains_key("accept-encoding"), "decompression would have to be bounded");
}

#[tokio::test]
async fn a_multipart_has_an_exact_length_and_one_harmless_file_name() {
    let client = serve(Router::new().route("/api", any(echo))).await;
    let form = Multipart::default().text("filename", "a\"\r\nX: 1").file("chunk", "y\"\r\nX: 2", pieces(1, 4), 4);
    let got = seen(post(&client).body(form)).await;
    assert_eq!(got["content-length"], got["body"].len().to_string());
    assert!(!got.contains_key("transfer-encoding"));
    assert_eq!(got["body"].matches("filename=\"").count(), 1);
    assert!(
        got["body"].contains("filename=\"y%22%0D%0AX: 2\"") || got["body"].contains("%0D%0AX: 2\""),
        "{}",
        got["body"]
    );
    // Two headers and an end of line behind the last delimiter: there are servers that count on it.
    assert!(got["body"].contains("\"\r\nContent-Type: application/octet-stream\r\n\r\n"), "{}", got["body"]);
    assert!(got["body"].ends_with("--\r\n"));
}

#[tokio::test]
async fn forms_and_tokens() {
    let client = serve(Router::new().route("/api", any(echo))).await;
    let request = post(&client).query([("a b", "c&d")]).bearer(&SecretString::from("tok"));
    let got = seen(request.body(Body::form([("name", "a&b=c d")]))).await;
    assert_eq!(got["body"], "name=a%26b%3Dc+d");
    assert_eq!(got["authorization"], "Bearer tok");
    assert_eq!(seen(get(&client).token(&SecretString::from("tok"))).await["authorization"], "tok");
}

#[tokio::test]
async fn nothing_goes_to_another_origin() {
    let client = client("127.0.0.1:9");
    for url in [
        "http://127.0.0.1:10/api",
        "https://127.0.0.1:9/api",
        "http://localhost:9/api",
        "http://u:p@127.0.0.1:9/api",
        "ftp://127.0.0.1:9/api",
    ] {
        let failure = client.request("read", Method::Get, Url::parse(url).unwrap()).send().await.err().unwrap();
        assert_eq!(failure.error.kind, Kind::Protocol, "{url}");
        assert!(failure.body_cut);
    }
    assert!(client.is_home(&Url::parse("http://127.0.0.1:9/other?x=y").unwrap()));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let home =
        serve(Router::new().route("/api", any(|| async { axum::response::Redirect::temporary("/other") }))).await;
    let answer = get(&home).send().await.unwrap();
    assert_eq!((answer.status(), answer.header("location")), (307, Some("/other")));
}

#[tokio::test]
async fn cookies_come_back_until_they_are_forgotten() {
    let app = Router::new()
        .route("/api", any(|| async { ([("set-cookie", "session=1; path=/")], "{}") }))
        .route("/echo", any(echo));
    let client = serve(app).await;
    let echo = client.base().join("/echo").unwrap();
    get(&client).send().await.unwrap();
    assert_eq!(seen(client.request("t", Method::Get, echo.clone())).await["cookie"], "session=1");
    client.forget_cookies();
    assert!(!seen(client.request("t", Method::Get, echo)).await.contains_key("cookie"));
}

#[tokio::test]
async fn a_refused_connection_means_nothing_was_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(listener.local_addr().unwrap());
    drop(listener);
    let failure = post(&client).body(Body::stream(pieces(1, 1), 1)).send().await.err().unwrap();
    assert_eq!((failure.error.kind, failure.error.retry), (Kind::Unreachable, Retry::After(Duration::ZERO)));
    assert!(failure.error.to_string().contains("refused"), "{}", failure.error);
}

#[tokio::test]
async fn a_name_without_address_means_nothing_was_done() {
    let client = client("no-such-host.invalid");
    let error = post(&client).send().await.err().unwrap().error;
    assert_eq!((error.kind, error.retry), (Kind::Unreachable, Retry::After(Duration::ZERO)));
}

#[tokio::test]
async fn tls_that_is_none_needs_a_person_and_sees_no_request() {
    let canary = raw(|mut stream| async move {
        let mut seen = vec![0; 4096];
        let count = stream.read(&mut seen).await.unwrap();
        assert!(!String::from_utf8_lossy(&seen[..count]).contains("HTTP/1.1"), "a request in the clear");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let url = canary.base().as_str().replace("http:", "https:");
    let secure = Client::new(&Settings { url, ca_file: None, proxy: None, cookies: Cookies::Ignore }).unwrap();
    let error = post(&secure).send().await.err().unwrap().error;
    assert_eq!((error.kind, error.retry), (Kind::Unreachable, Retry::Never), "{error}");
}

#[tokio::test]
async fn a_cut_after_the_request_is_in_doubt() {
    let client = raw(|mut stream| async move {
        read_head(&mut stream).await;
    })
    .await;
    let failure = post(&client).send().await.err().unwrap();
    assert_eq!((failure.error.kind, failure.error.retry), (Kind::Unreachable, Retry::AskFirst));
    assert!(!failure.body_cut);
    for harmless in [get(&client), post(&client).only_reads()] {
        assert_eq!(harmless.send().await.err().unwrap().error.retry, Retry::After(Duration::ZERO));
    }
}

#[tokio::test]
async fn a_cut_within_the_body_is_known_as_such() {
    let client = raw(|mut stream| async move {
        read_head(&mut stream).await;
    })
    .await;
    let len = 64 << 20;
    let failure = post(&client).body(Body::stream(pieces(64, 1 << 20), len)).send().await.err().unwrap();
    assert!(failure.body_cut);
}

#[tokio::test]
async fn an_early_refusal_is_read_although_the_body_is_not_through() {
    let client = raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        // As web servers do: swallow a little of what is under way, then close.
        let mut sink = vec![0; 1 << 20];
        for _ in 0..4 {
            let _ = stream.read(&mut sink).await;
        }
    })
    .await;
    let answer = post(&client).body(Body::stream(pieces(64, 1 << 20), 64 << 20)).send().await;
    assert_eq!(answer.map(|answer| answer.status()).map_err(|failure| failure.error.to_string()), Ok(413));
}

#[tokio::test]
async fn an_error_of_our_own_content_stays_what_it_is() {
    let client = serve(Router::new().route("/api", any(echo))).await;
    let broken = stream::iter([
        Ok(Bytes::from_static(b"ab")),
        Err(Error::spool("read", std::io::Error::from_raw_os_error(libc::EIO))),
    ]);
    let failure = post(&client).body(Body::stream(broken, 4)).send().await.err().unwrap();
    assert_eq!(failure.error.kind, Kind::Spool);
    assert!(failure.body_cut);
}

#[tokio::test]
async fn silence_ends_by_the_time_the_service_gave() {
    let client = raw(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let failure = post(&client).answer_within(Duration::from_millis(50)).send().await.err().unwrap();
    assert_eq!((failure.error.kind, failure.error.retry), (Kind::Timeout, Retry::AskFirst));
}

async fn fixed(answer: &'static str) -> Client {
    raw(move |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn an_answer_is_as_long_as_it_says() {
    let short = fixed("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let error = get(&short).send().await.unwrap().bytes(0, 10, Rest::Nothing).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable, "{error}");
    let chunked = "HTTP/1.1 206 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    for (skip, len, rest, expected) in [
        (0, 6, Rest::Nothing, Ok("abcdef")),
        (1, 4, Rest::Ignored, Ok("bcde")),
        (3, 3, Rest::Nothing, Ok("def")),
        (0, 3, Rest::Nothing, Err(Kind::Corrupt)),
        (0, 5, Rest::Nothing, Err(Kind::Corrupt)),
        (0, 7, Rest::Nothing, Err(Kind::Corrupt)),
        (9, 1, Rest::Ignored, Err(Kind::Corrupt)),
    ] {
        let server = fixed(chunked).await;
        let got = get(&server).send().await.unwrap().bytes(skip, len, rest).await;
        assert_eq!(
            got.map_err(|error| error.kind),
            expected.map(|text: &str| Bytes::from(text)),
            "{skip} {len} {rest:?}"
        );
    }
}

#[tokio::test]
async fn a_flood_ends_at_the_limit() {
    let client = raw(|mut stream| async move {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let piece = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        while stream.write_all(&piece).await.is_ok() {}
    })
    .await;
    let error = get(&client).send().await.unwrap().body(1 << 20).await.unwrap_err();
    assert_eq!(error.kind, Kind::Protocol);
}

#[tokio::test]
async fn ranges_are_parsed_or_not() {
    for (header, expected) in [
        ("bytes 2-5/10", Some((2..6, 10))),
        ("bytes */10", None),
        ("bytes 0-18446744073709551615/10", None),
        ("items 0-1/2", None),
    ] {
        let app = Router::new().route("/api", any(move || async move { ([("content-range", header)], "") }));
        assert_eq!(get(&serve(app).await).send().await.unwrap().content_range(), expected, "{header}");
    }
}

#[test]
fn addresses_that_cannot_be() {
    let refuse = |url: &str| {
        let settings = Settings { url: url.into(), ca_file: None, proxy: None, cookies: Cookies::Ignore };
        Client::new(&settings).err().unwrap().to_string()
    };
    assert!(refuse("wiki.example.org").contains("not a URL"));
    assert!(refuse("file:///etc/passwd").contains("https://"));
    let text = refuse("https://me:geheim@wiki.example.org/");
    assert!(!text.contains("geheim"), "{text}");
    let settings = |ca_file| Settings {
        url: "https://localhost/".into(),
        ca_file,
        proxy: Some("::".into()),
        cookies: Cookies::Ignore,
    };
    assert!(Client::new(&settings(None)).err().unwrap().to_string().contains("proxy"));
    assert!(Client::new(&settings(Some("/no/such.pem".into()))).err().unwrap().to_string().contains("/no/such.pem"));
}

#[tokio::test]
async fn a_stream_that_was_handed_over_whole_is_not_cut() {
    let client = raw(|mut stream| async move {
        let mut request = read_head(&mut stream).await.into_bytes();
        while !request.ends_with(b"xxxxxxxxxxxxxxx") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "the body comes whole");
        }
    })
    .await;
    let failure = post(&client).body(Body::stream(pieces(3, 5), 15)).send().await.err().unwrap();
    assert_eq!((failure.body_cut, failure.error.retry), (false, Retry::AskFirst), "{}", failure.error);
}
