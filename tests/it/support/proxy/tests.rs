//! The proxy before a tiny server that writes down what reaches it: without faults nobody notices it, and each fault is
//! what it says, on both sides.

mod ends;

use std::net::Shutdown;
use std::time::Duration;

use self::ends::{Client, Got, Tiny};
use super::super::program::until;
use super::*;

fn ok(content: &str) -> Got {
    Got::Answer(200, content.into())
}

/// The requests as `kind, fault, server`.
fn seen(proxy: &Proxy) -> Vec<(&'static str, String, Server)> {
    proxy.seen().into_iter().map(|seen| (seen.kind, seen.fault.unwrap_or_default(), seen.server)).collect()
}

const DONE: Server = Server::Answered(200);

#[test]
fn without_faults_nobody_notices_the_proxy() {
    let (tiny, large) = (Tiny::start(), vec![b'x'; 3 << 20]);
    let proxy = tiny.proxy();
    let mut client = Client::of(&proxy);
    assert_eq!(client.post("/plain", b"text"), ok("4 bytes"));
    assert_eq!(client.post("/chunked", b""), ok("first0 bytes"));
    assert_eq!(client.post("/empty", b"x"), Got::Answer(204, "".into()));
    assert_eq!(client.post("/plain?a=b", &large), ok("3145728 bytes"));
    assert_eq!((client.post("/interim", b"y"), client.got()), (Got::Answer(100, "".into()), ok("1 bytes")));
    client.send(b"GET /plain HTTP/1.1\r\n\r\n");
    assert_eq!(client.got(), ok("0 bytes"));
    // All of that was one connection; an answer without a length ends it.
    assert_eq!(client.post("/to-end", b"zz"), ok("2 bytes"));
    let heard = tiny.heard();
    let lines: Vec<_> = heard.iter().map(|(line, content)| (line.as_str(), content.len())).collect();
    assert_eq!(lines[3], ("POST /plain?a=b HTTP/1.1", 3 << 20));
    assert_eq!(lines[5], ("GET /plain HTTP/1.1", 0));
    assert!(heard[3].1 == large && lines.len() == 7);
    assert_eq!(proxy.faults(), 0);
    assert_eq!(proxy.seen()[2].server, Server::Answered(204));
}

#[test]
fn a_chunked_request_goes_through_and_can_be_cut() {
    let tiny = Tiny::start();
    let proxy = tiny.proxy();
    let request =
        b"POST /plain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;n=v\r\ndefg\r\n0\r\nA: b\r\n\r\n";
    let mut client = Client::of(&proxy);
    client.send(request);
    assert_eq!(client.got(), ok("7 bytes"));
    proxy.add("other", When::Nth(1), Fault::CutRequest(5));
    client.send(request);
    assert_eq!(client.got(), Got::Fin);
    assert_eq!(tiny.contents(2), [b"abcdefg".to_vec(), b"abcde".to_vec()]);
    assert_eq!(seen(&proxy)[1], ("other", "request cut after 5 bytes".into(), Server::Silent));
}

#[test]
fn a_request_that_is_dropped_before_never_reaches_the_server() {
    let tiny = Tiny::start();
    for (end, got) in [(End::Fin, Got::Fin), (End::Reset, Got::Reset)] {
        let proxy = tiny.proxy();
        proxy.add("other", When::Nth(1), Fault::DropBefore(end));
        assert_eq!(Client::of(&proxy).post("/plain", &[b'x'; 100_000]), got);
        assert_eq!(proxy.seen()[0].server, Server::Unasked);
    }
    assert!(tiny.heard().is_empty());
}

#[test]
fn a_request_whose_answer_is_dropped_was_carried_out() {
    let tiny = Tiny::start();
    for (count, (end, got)) in [(End::Fin, Got::Fin), (End::Reset, Got::Reset)].into_iter().enumerate() {
        let proxy = tiny.proxy();
        proxy.add("other", When::Nth(1), Fault::DropAfter(end));
        assert_eq!(Client::of(&proxy).post("/chunked", b"abc"), got);
        assert_eq!(tiny.contents(count + 1)[count], b"abc");
        assert_eq!(proxy.seen()[0].server, DONE);
    }
}

#[test]
fn a_request_is_cut_where_it_is_told() {
    let tiny = Tiny::start();
    let content = [b'x'; 200_000];
    for (count, bytes) in [0, 1, 5000, 150_000, 200_000].into_iter().enumerate() {
        let proxy = tiny.proxy();
        proxy.add("other", When::Nth(1), Fault::CutRequest(bytes));
        let got = Client::of(&proxy).post("/plain", &content);
        assert!(matches!(got, Got::Fin | Got::Reset), "{got:?}");
        assert_eq!(tiny.contents(count + 1)[count].len() as u64, bytes);
    }
}

#[test]
fn an_answer_is_cut_where_it_is_told() {
    let tiny = Tiny::start();
    for (path, bytes, part) in
        [("/plain", 0, ""), ("/plain", 3, "3 b"), ("/chunked", 3, "fir"), ("/chunked", 7, "first3 ")]
    {
        let proxy = tiny.proxy();
        proxy.add("other", When::Nth(1), Fault::CutAnswer(bytes));
        let got = Client::of(&proxy).post(path, b"abc");
        assert_eq!(got, Got::Part(200, part.into()), "{path} {bytes}");
        assert_eq!(proxy.seen()[0].server, DONE);
    }
}

#[test]
fn a_status_comes_instead_of_during_or_after_the_work() {
    let tiny = Tiny::start();
    let proxy = tiny.proxy();
    let page = || Page::html(503).header("Retry-After", 7);
    for (fault, heard) in
        [(Fault::Status(page()), 0), (Fault::StatusDuring(page()), 1), (Fault::StatusAfter(page()), 2)]
    {
        proxy.add("other", When::Nth(1), fault);
        // One connection each: a page of the proxy keeps it.
        let mut client = Client::of(&proxy);
        client.start("/plain", &[b'x'; 100_000]);
        let mut head = String::new();
        until("the page", || {
            client.0.more().unwrap();
            head = String::from_utf8_lossy(&client.0.have).into_owned();
            head.ends_with("</html>\r\n")
        });
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 7\r\n"), "{head}");
        assert!(matches!(client.got(), Got::Answer(503, _)));
        assert_eq!(tiny.contents(heard).len(), heard);
        proxy.heal();
        client.start("/empty", b"");
        assert_eq!(client.got(), Got::Answer(204, "".into()));
        tiny.heard.lock().unwrap().pop();
    }
    until("the last answer", || seen(&proxy).iter().filter(|(_, _, server)| *server == DONE).count() == 2);
    let faults: Vec<_> =
        seen(&proxy).into_iter().map(|(_, fault, _)| fault).filter(|fault| !fault.is_empty()).collect();
    assert_eq!(faults, ["503 instead", "503 meanwhile", "503 afterwards"]);
    assert_eq!(seen(&proxy)[0].2, Server::Unasked);
}

#[test]
fn a_request_hangs_until_the_gate_is_open_even_when_its_client_has_gone() {
    let tiny = Tiny::start();
    let (proxy, gate) = (tiny.proxy(), Gate::new());
    proxy.add("other", When::Always, Fault::HangBefore(gate.clone()));
    let (mut stays, mut goes) = (Client::of(&proxy), Client::of(&proxy));
    stays.start("/plain", b"stays");
    goes.start("/plain", b"goes");
    until("both to hang", || proxy.count("other") == 2);
    goes.0.stream.shutdown(Shutdown::Both).unwrap();
    drop(goes);
    assert!(tiny.heard().is_empty());
    gate.open();
    assert_eq!(stays.got(), ok("5 bytes"));
    let mut contents = tiny.contents(2);
    contents.sort();
    assert_eq!(contents, [b"goes", &b"stays"[..]]);
}

#[test]
fn an_answer_hangs_until_the_gate_is_open_or_the_proxy_is_gone() {
    let tiny = Tiny::start();
    let (proxy, gate) = (tiny.proxy(), Gate::new());
    proxy.add("other", When::Nth(1), Fault::HangAfter(gate.clone()));
    proxy.add("other", When::Nth(2), Fault::HangAfter(Gate::new()));
    let (mut first, mut second) = (Client::of(&proxy), Client::of(&proxy));
    first.start("/plain", b"a");
    until("the first answer", || seen(&proxy).iter().any(|seen| seen.2 == DONE));
    second.start("/plain", b"bb");
    until("the second answer", || seen(&proxy).iter().filter(|seen| seen.2 == DONE).count() == 2);
    gate.open();
    assert_eq!(first.got(), ok("1 bytes"));
    drop(proxy);
    assert!(matches!(second.got(), Got::Fin | Got::Reset));
}

#[test]
fn a_delay_changes_nothing_else() {
    let tiny = Tiny::start();
    let proxy = tiny.proxy();
    proxy.add("other", When::Always, Fault::Delay(Duration::from_millis(1)));
    assert_eq!(Client::of(&proxy).post("/plain", b"abc"), ok("3 bytes"));
    assert_eq!(seen(&proxy), [("other", "delayed 1ms".into(), DONE)]);
}

#[test]
fn a_server_that_answers_before_it_has_read_everything_is_heard() {
    let tiny = Tiny::start();
    let proxy = tiny.proxy();
    let got = Client::of(&proxy).post("/early", &vec![b'x'; 3 << 20]);
    assert_eq!(got, Got::Answer(413, "big".into()));
}

#[test]
fn a_server_that_is_not_there_is_a_closed_connection() {
    // The port of a service that nobody runs any more.
    let proxy = Proxy::start("127.0.0.1:9".parse().unwrap(), |_| "other");
    let got = Client::of(&proxy).post("/plain", b"abc");
    assert!(matches!(got, Got::Fin | Got::Reset), "{got:?}");
    assert_eq!(proxy.seen()[0].server, Server::Unasked);
}

#[test]
fn what_is_no_http_is_not_passed_on() {
    let tiny = Tiny::start();
    let proxy = tiny.proxy();
    for nonsense in [
        "\0\0\0\0\r\n\r\n",
        "POST /plain HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        "POST /plain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut client = Client::of(&proxy);
        client.send(nonsense.as_bytes());
        let got = client.got();
        assert!(matches!(got, Got::Fin | Got::Reset), "{nonsense:?}: {got:?}");
    }
    assert!(tiny.heard().is_empty() && proxy.seen().is_empty());
}

#[test]
fn requests_are_told_apart_by_what_stands_before_the_file() {
    let tiny = Tiny::start();
    let proxy = tiny.proxy();
    let mut client = Client::of(&proxy);
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let multipart = format!(
        "{}{}--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n",
        part("a", "1"),
        part("what", "large")
    );
    let multipart = [multipart.as_bytes(), &vec![b'x'; 1 << 20], b"\r\n--b--\r\n"].concat();
    client.post("/plain", b"a=1&what=small");
    client.post("/plain", &multipart);
    client.post("/plain?what=small", b"");
    assert_eq!(seen(&proxy).iter().map(|seen| seen.0).collect::<Vec<_>>(), ["small", "large", "other"]);
    assert_eq!(tiny.contents(3)[1].len(), multipart.len());
    proxy.add_where(
        |request| request.argument("title").as_deref() == Some("a b"),
        When::Always,
        Fault::DropBefore(End::Fin),
    );
    assert_eq!(client.post("/plain?x=1&title=a+c", b""), ok("0 bytes"));
    assert_eq!(client.post("/plain?x=1&title=a%20b", b""), Got::Fin);
}

#[test]
fn occurrences_count_from_when_the_fault_was_added() {
    let tiny = Tiny::start();
    let proxy = tiny.proxy();
    let statuses = |count: usize| -> Vec<u16> {
        let mut client = Client::of(&proxy);
        let got = (0..count).map(|_| client.post("/plain", b"what=small"));
        got.map(|got| if let Got::Answer(status, _) = got { status } else { 0 }).collect()
    };
    assert_eq!(statuses(2), [200, 200]);
    proxy.add("small", When::Nth(2), Fault::Status(Page::html(500)));
    proxy.add("small", When::From(4), Fault::Status(Page::html(502)));
    proxy.add("large", When::Always, Fault::Status(Page::html(404)));
    assert_eq!(statuses(5), [200, 500, 200, 502, 502]);
    proxy.heal();
    assert_eq!(statuses(1), [200]);
    assert_eq!((proxy.count("small"), proxy.faults()), (8, 3));
}

#[test]
fn chance_is_the_same_for_the_same_seed() {
    let draws = |seed, share| -> Vec<Option<String>> {
        let random = Random { seed, share, faults: vec![Fault::DropBefore(End::Fin), Fault::DropAfter(End::Fin)] };
        (0..1000).map(|count| random.draw("kind", count).map(|fault| fault.name())).collect()
    };
    assert_eq!(draws(7, 0.2), draws(7, 0.2));
    assert_ne!(draws(7, 0.2), draws(8, 0.2));
    let met: Vec<_> = draws(7, 0.2).into_iter().flatten().collect();
    assert!((150..250).contains(&met.len()), "{}", met.len());
    assert!(met.iter().filter(|name| name.contains("before")).count() > 50);
    assert!(draws(7, 0.0).iter().all(Option::is_none) && draws(7, 1.0).iter().all(Option::is_some));
}

#[test]
fn faults_by_chance_are_met_until_all_is_healed() {
    let tiny = Tiny::start();
    let proxy = tiny.proxy();
    proxy.random(Random { seed: 1, share: 1.0, faults: vec![Fault::Status(Page::html(500))] });
    proxy.add("small", When::Always, Fault::Status(Page::html(404)));
    let mut client = Client::of(&proxy);
    assert!(matches!(client.post("/plain", b"what=small"), Got::Answer(404, _)), "the script comes first");
    assert!(matches!(client.post("/plain", b"what=large"), Got::Answer(500, _)));
    proxy.heal();
    assert_eq!(client.post("/plain", b"what=large"), ok("10 bytes"));
}

#[test]
fn the_address_of_the_server_becomes_that_of_the_proxy() {
    let proxy = Tiny::start().proxy();
    let url = proxy.url("http://localhost:1/w/api.php?x=y");
    assert_eq!(url, format!("http://{}/w/api.php?x=y", proxy.address));
}
