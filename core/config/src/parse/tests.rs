use super::*;

fn read(text: &str) -> Result<Node, Diagnostic> {
    parse(&Source::new("t.yaml", text)).map(|(node, _)| node)
}

fn tree(text: &str) -> Node {
    read(text).unwrap()
}

#[test]
fn scalars_keep_text_quoting_and_place() {
    let node = tree("a:\n  b: 0123\n  c: '5'\n");
    let b = node.get("a").unwrap().get("b").unwrap();
    let c = node.get("a").unwrap().get("c").unwrap();
    let scalar = b.as_scalar().unwrap();
    assert_eq!(
        (scalar.text.as_str(), scalar.quoting, scalar.kind),
        ("0123", crate::Quoting::Plain, ScalarKind::Int(83))
    );
    assert_eq!((b.place.line, b.place.column, b.place.length), (2, 6, 4));
    assert_eq!(c.as_scalar().unwrap().kind, ScalarKind::Str);
    assert_eq!((c.place.line, c.place.column, c.place.length), (3, 6, 3));
}

#[test]
fn anchors_and_merge_keys_give_what_is_written_out() {
    let got = tree("d: &d {x: 1, y: 2}\ne: &e {y: 3, z: 4}\na: {<<: *d, y: 9}\nb: {<<: [*d, *e]}\nc: *d\n");
    let a = got.get("a").unwrap();
    assert_eq!(a, &tree("{y: 9, x: 1}"));
    assert_eq!(a.get("x").unwrap().place.line, 1, "a merged value stands where it was written");
    assert_eq!(got.get("b").unwrap(), &tree("{x: 1, y: 2, z: 4}"));
    assert_eq!(got.get("c").unwrap(), &tree("{x: 1, y: 2}"));
    assert_eq!(tree("'<<': 1").as_map().unwrap().entries[0].key, "<<", "a quoted << is a key like any other");
}

#[test]
fn the_order_of_keys_is_kept() {
    let node = tree("z: 1\na: 2\nm: 3\n");
    let keys: Vec<_> = node.as_map().unwrap().entries.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(keys, ["z", "a", "m"]);
}

#[test]
fn a_bomb_of_aliases_is_refused_before_it_is_built() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..20 {
        let below = format!("*a{}, ", i - 1).repeat(10);
        text.push_str(&format!("a{i}: &a{i} [{below}]\n"));
    }
    assert_eq!(read(&text).unwrap_err().code, codes::BUDGET);
}

#[test]
fn depth_is_limited_in_both_styles() {
    let flow = "[".repeat(100) + &"]".repeat(100);
    assert_eq!(read(&flow).unwrap_err().code, codes::BUDGET);
    let block: String = (0..100).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    assert_eq!(read(&block).unwrap_err().code, codes::BUDGET);
    assert!(read(&("[".repeat(60) + &"]".repeat(60))).is_ok());
}

#[test]
fn tags_of_the_core_schema_decide_the_type() {
    let node = tree("a: !!str 5\nb: !!int '5'\nc: !!float 5\nd: !custom 5\n");
    let kind = |k: &str| node.get(k).unwrap().as_scalar().unwrap().kind;
    assert_eq!(kind("a"), ScalarKind::Str);
    assert_eq!(kind("b"), ScalarKind::Int(5));
    assert_eq!(kind("c"), ScalarKind::Float(5.0));
}

#[test]
fn a_second_document_is_told_about() {
    let (_, warnings) = parse(&Source::new("t.yaml", "a: 1\n---\nb: 2\n")).unwrap();
    assert_eq!(warnings.iter().next().unwrap().code, codes::MORE_DOCUMENTS);
}

#[test]
fn an_anchor_within_itself_is_refused() {
    assert_eq!(read("a: &a [1, *a]").unwrap_err().code, codes::SYNTAX);
}
