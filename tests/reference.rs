//! `docs/components.md` is written by the code it describes.

#[test]
fn the_component_reference_is_up_to_date() {
    let page = streamgauge::reference::markdown();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/components.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == page, "docs/components.md is out of date: run UPDATE=1 cargo test --test reference");
}
