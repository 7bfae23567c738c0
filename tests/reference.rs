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

#[test]
fn every_test_that_the_page_of_complaints_names_is_there() {
    let page = include_str!("../docs/complaints.md");
    let is_test = |word: &&str| word.matches('_').count() > 3;
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(named.len() > 15, "{named:?}");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut folders: Vec<_> =
        ["receivers/src", "exporters/src", "tests"].map(|folder| root.join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let missing: Vec<_> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "no test is called {missing:?}");
}
