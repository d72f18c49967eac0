//! The portal and curl, a client that nobody here has written: both dialects as a person would type them.

use std::process::Command;

use serde_json::{Value, json};
use uploadfs::portal::yandex_cloud::{API_KEY, FOLDER};

use super::{NATIVE, OPENAI, Site, document, noise};

/// Runs curl; what it prints.
#[track_caller]
fn curl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("curl").args(["-sS", "--globoff"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[track_caller]
fn json_of(arguments: &[&str]) -> Value {
    let said = curl(arguments);
    serde_json::from_slice(&said).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&said)))
}

#[test]
fn the_native_dialect() {
    let (site, folder, bytes) = (Site::new(), tempfile::tempdir().unwrap(), noise(200_000));
    let body = folder.path().join("body.json");
    std::fs::write(&body, document("a.bin", &bytes).to_string()).unwrap();
    let (authorization, url) = (format!("Authorization: Api-Key {API_KEY}"), format!("{}{NATIVE}", site.portal.url()));
    let json = ["-H", &authorization, "-H", "Content-Type: application/json"];
    let made = json_of(&[&json[..], &["--data-binary", &format!("@{}", body.display()), &url]].concat());
    let one = format!("{url}/{}", made["id"].as_str().unwrap());
    let patch = json!({"updateMask": "name", "name": "b.bin"}).to_string();
    assert_eq!(json_of(&[&json[..], &["-X", "PATCH", "-d", &patch, &one]].concat())["name"], "b.bin");
    let listed = json_of(&["-H", &authorization, &format!("{url}?folderId={FOLDER}")]);
    assert_eq!(listed["files"][0]["name"], "b.bin");
    let asked = format!("{url}:getUrl?fileId={}", made["id"].as_str().unwrap());
    let address = json_of(&["-H", &authorization, &asked])["url"].as_str().unwrap().to_owned();
    assert_eq!(curl(&[&address]), bytes);
    assert_eq!(curl(&["-r", "1000-1099", &address]), bytes[1000..1100]);
    assert_eq!(json_of(&["-H", &authorization, "-X", "DELETE", &one]), json!({}));
    site.in_order();
}

#[test]
fn the_dialect_of_openai() {
    let (site, folder, bytes) = (Site::new(), tempfile::tempdir().unwrap(), noise(200_000));
    let path = folder.path().join("a.bin");
    std::fs::write(&path, &bytes).unwrap();
    let (authorization, project) = (format!("Authorization: Bearer {API_KEY}"), format!("OpenAI-Project: {FOLDER}"));
    let headers = ["-H", &authorization, "-H", &project];
    let url = format!("{}{OPENAI}", site.portal.url());
    let file = format!("file=@{}", path.display());
    let expiry = ["-F", "expires_after[anchor]=created_at", "-F", "expires_after[seconds]=86400"];
    let made = json_of(&[&headers[..], &["-F", "purpose=assistants", "-F", &file], &expiry, &[&url]].concat());
    assert_eq!((&made["bytes"], &made["filename"]), (&json!(200_000), &json!("a.bin")));
    let one = format!("{url}/{}", made["id"].as_str().unwrap());
    assert_eq!(json_of(&[&headers[..], &[&one]].concat()), made);
    assert_eq!(curl(&[&headers[..], &[&format!("{one}/content")]].concat()), bytes);
    assert_eq!(json_of(&[&headers[..], &["-X", "DELETE", &one]].concat())["deleted"], true);
    site.in_order();
}
