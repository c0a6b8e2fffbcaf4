use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::xml::write::{self, Writer};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    #[serde(rename = "@xmlns")]
    _xmlns: Option<String>,
    #[serde(rename = "Key", default)]
    keys: Vec<String>,
    #[serde(rename = "Quiet")]
    quiet: Option<String>,
}

fn keys(text: &str) -> Result<Vec<String>, S3Error> {
    document::<Root>(text.as_bytes(), "Root").map(|root| root.keys)
}

fn refused(text: &str) {
    let error = keys(text).unwrap_err();
    assert_eq!(error.code(), Code::MalformedXML, "{text}");
}

#[test]
fn whitespace_references_and_cdata_keep_their_text() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Root><Key> a\n</Key>\
                <Key>&#13;&#x1;&lt;&#128512;</Key><Key><![CDATA[<&]]></Key></Root>\n";
    assert_eq!(keys(text).unwrap(), [" a\n", "\r\u{1}<😀", "<&"]);
}

#[test]
fn namespaces_prefixes_and_order_do_not_matter() {
    let text = "<Root xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                <Key>a</Key><Quiet>true</Quiet><Key>b</Key></Root>";
    assert_eq!(keys(text).unwrap(), ["a", "b"]);
    assert_eq!(keys("\u{feff}<Root/>").unwrap(), Vec::<String>::new());
    assert_eq!(
        keys("<Root></Root><!-- end -->").unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn a_wrong_root_is_refused() {
    refused("<Wrong><Key>a</Key></Wrong>");
    refused("<root/>");
    refused("<Wrong/>");
}

#[test]
fn unknown_elements_are_refused() {
    refused("<Root><Key>a</Key><Invented/></Root>");
}

#[test]
fn a_document_type_is_refused() {
    refused("<!DOCTYPE Root><Root/>");
    refused("<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Root><Key>&b;</Key></Root>");
    refused("<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Root><Key>&x;</Key></Root>");
    refused("<Root><Key>&undefined;</Key></Root>");
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |depth: usize| {
        format!(
            "<Root>{}{}</Root>",
            "<a>".repeat(depth - 1),
            "</a>".repeat(depth - 1)
        )
    };
    assert!(check(&nested(XML_DEPTH_MAX), "Root").is_ok());
    // The gate itself, before serde sees anything.
    assert!(check(&nested(XML_DEPTH_MAX + 1), "Root").is_err());
    refused(&nested(100_000));
}

#[test]
fn what_is_not_one_whole_document_is_refused() {
    for text in [
        "",
        " ",
        "text",
        "<Root>",
        "</Root>",
        "<Root/><Root/>",
        "<Root/>more",
        "<Root><Key></Root>",
        "<Root><Key>a</Key>",
        "<Root a></Root>",
        "<![CDATA[x]]><Root/>",
        "<Root>\0",
        "&lt;<Root/>",
        "<Root><Key><Deep>a</Deep></Key></Root>",
    ] {
        refused(text);
    }
    assert!(document::<Root>(b"<Root><Key>\xff</Key></Root>", "Root").is_err());
}

fn written(texts: &[String]) -> Vec<u8> {
    let all = |xml: &mut Writer| texts.iter().for_each(|text| xml.text("Key", text));
    write::document("Root", all).to_vec()
}

#[test]
fn the_writer_leaves_nothing_a_parser_would_change() {
    let text =
        String::from_utf8(written(&["\r\n\t<>&\"'\u{1}\u{85}\u{ffff}é".to_owned()])).unwrap();
    assert!(text.contains("<Key>&#xD;\n\t&lt;&gt;&amp;&quot;'&#x1;&#x85;&#xFFFF;é</Key>"));
}

#[test]
fn the_writer_closes_what_it_opens() {
    let bytes = write::document("Root", |xml| {
        xml.nest("A", |xml| {
            xml.number("N", 5);
            xml.flag("F", true);
            xml.optional("O", None);
            xml.optional("P", Some("p"));
            xml.nest("E", |_| {});
        });
        xml.bare("&");
    });
    let text = std::str::from_utf8(&bytes).unwrap();
    let (_, root) = text.split_once('\n').unwrap();
    assert_eq!(
        root,
        "<Root xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><A><N>5</N><F>true</F><P>p</P>\
         <E></E></A>&amp;</Root>"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        texts in proptest::collection::vec("[^\0]{0,20}", 0..4),
        odd in proptest::collection::vec("[\u{1}-\u{20}\u{7f}-\u{a0}\u{2028}\u{fffe}\u{ffff}🦀<>&\"']{0,10}", 0..4),
    ) {
        let texts = [texts, odd].concat();
        let read: Root = document(&written(&texts), "Root").unwrap();
        prop_assert_eq!(read.keys, texts);
    }

    #[test]
    fn random_input_never_panics(text: String, tags in "(<[/!?]?[A-Za-z&;#\\[\\]\" =-]{0,8}>?){0,12}") {
        let _ = keys(&text);
        let _ = keys(&tags);
        let _ = keys(&format!("<Root>{tags}</Root>"));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = document::<Root>(&bytes, "Root");
    }
}
