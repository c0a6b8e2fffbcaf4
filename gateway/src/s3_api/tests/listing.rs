use http::Method;

use crate::fakes::Site;

async fn site() -> Site {
    let site = Site::new(1, 0).with_bucket().await;
    for key in ["a", "b/1", "b/2", "b/3", "c", "d/1", "e"] {
        site.call(Method::PUT, &format!("/bucket/{key}"), "x").await;
    }
    site
}

fn all(text: &str, name: &str) -> Vec<String> {
    let open = format!("<{name}>");
    let parts = text.split(open.as_str()).skip(1);
    parts
        .map(|part| part.split('<').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_put_together_are_the_listing() {
    let site = site().await;
    let (mut keys, mut prefixes, mut token) = (Vec::new(), Vec::new(), String::new());
    let mut pages = 0;
    loop {
        let more = match token.as_str() {
            "" => String::new(),
            token => format!("continuation-token={token}&"),
        };
        let target = format!("/bucket?{more}delimiter=%2F&list-type=2&max-keys=2");
        let page = site.call(Method::GET, &target, "").await;
        keys.extend(all(&page.text(), "Key"));
        prefixes.extend(all(&page.element("CommonPrefixes"), "Prefix"));
        pages += 1;
        token = page.element("NextContinuationToken");
        if page.element("IsTruncated") == "false" {
            break;
        }
        assert!(!token.is_empty());
    }
    assert_eq!(keys, ["a", "c", "e"]);
    assert_eq!(prefixes, ["b/", "d/"]);
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn the_first_version_pages_by_marker() {
    let site = site().await;
    let first = site
        .call(Method::GET, "/bucket?delimiter=%2F&max-keys=2", "")
        .await;
    assert_eq!(first.element("NextMarker"), "b/");
    let second = site
        .call(Method::GET, "/bucket?delimiter=%2F&marker=b%2F", "")
        .await;
    assert_eq!(all(&second.text(), "Key"), ["c", "e"]);
    assert_eq!(second.element("IsTruncated"), "false");
    let none = site.call(Method::GET, "/bucket?max-keys=0", "").await;
    assert_eq!(
        (all(&none.text(), "Key").len(), none.element("IsTruncated")),
        (0, "false".to_owned())
    );
}

#[tokio::test]
async fn every_object_is_its_null_version() {
    let site = site().await;
    let page = site
        .call(Method::GET, "/bucket?max-keys=3&versions=", "")
        .await;
    assert_eq!(all(&page.text(), "Key"), ["a", "b/1", "b/2"]);
    assert_eq!(all(&page.text(), "VersionId"), ["null"; 3]);
    assert_eq!(all(&page.text(), "IsLatest"), ["true"; 3]);
    let (key, version) = (
        page.element("NextKeyMarker"),
        page.element("NextVersionIdMarker"),
    );
    assert_eq!((key.as_str(), version.as_str()), ("b/2", "null"));
    let rest = "/bucket?key-marker=b%2F2&version-id-marker=null&versions=";
    let rest = site.call(Method::GET, rest, "").await;
    assert_eq!(all(&rest.text(), "Key"), ["b/3", "c", "d/1", "e"]);
}

#[tokio::test]
async fn the_owner_is_shown_where_it_is_asked_for_also_to_root() {
    let site = site().await;
    let target = "/bucket?fetch-owner=true&list-type=2&prefix=a";
    for name in ["alice", "root"] {
        let page = site.call_as(name, Method::GET, target, &[], "").await;
        assert_eq!(page.element("ID"), "alice");
        assert_eq!(page.element("StorageClass"), "STANDARD");
    }
    let page = site
        .call(Method::GET, "/bucket?list-type=2&prefix=a", "")
        .await;
    assert_eq!(page.element("ID"), "");
}
