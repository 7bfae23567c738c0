use super::*;

fn render(source: &str, value: f64) -> String {
    let labels: Labels =
        [("stream", "orders"), ("service.name", "shop"), ("bytes", "2048")].into_iter().collect();
    match Template::parse(source) {
        Ok(template) => template.render(&labels, value),
        Err(error) => panic!("{source}: {error}"),
    }
}

#[test]
fn templates_print_labels_and_the_value() {
    let table = [
        ("plain } text {", 0.0, "plain } text {"),
        ("{{ $labels.stream }} lags by {{ $value }}", 1234567.0, "orders lags by 1234567"),
        ("{{$labels.service.name}}/{{ .Labels.stream }}/{{.Value}}", 0.5, "shop/orders/0.5"),
        ("{{ index $labels \"service.name\" }}", 0.0, "shop"),
        ("[{{ $labels.missing }}]", 0.0, "[]"),
        ("a {{- $value -}} b {{/* nothing */}}c", 3.0, "a3b c"),
        ("{{ \"}}\" }}{{ `\\n` }}", 0.0, "}}\\n"),
        ("{{ $value }}", f64::INFINITY, "+Inf"),
        ("{{ $value }}", f64::NAN, "NaN"),
        ("{{ $labels.stream | toUpper }} {{ title \"late again\" }}", 0.0, "ORDERS Late Again"),
    ];
    for (source, value, expected) in table {
        assert_eq!(render(source, value), expected, "{source}");
    }
}

#[test]
fn humanize_functions_follow_prometheus() {
    let table = [
        ("humanize", 0.0, "0"),
        ("humanize", 1234567.0, "1.235M"),
        ("humanize", 999.0, "999"),
        ("humanize", -1000.0, "-1k"),
        ("humanize", 0.0123, "12.3m"),
        ("humanize", f64::NAN, "NaN"),
        ("humanize1024", 1.0, "1"),
        ("humanize1024", 1048576.0, "1Mi"),
        ("humanize1024", 1536.0, "1.5ki"),
        ("humanizeDuration", 0.0, "0s"),
        ("humanizeDuration", 0.012, "12ms"),
        ("humanizeDuration", 59.5, "59.5s"),
        ("humanizeDuration", 61.0, "1m 1s"),
        ("humanizeDuration", 3661.0, "1h 1m 1s"),
        ("humanizeDuration", -90061.0, "-1d 1h 1m 1s"),
        ("humanizePercentage", 0.1234, "12.34%"),
        ("humanizePercentage", 1.0, "100%"),
    ];
    for (function, value, expected) in table {
        assert_eq!(render(&format!("{{{{ $value | {function} }}}}"), value), expected, "{function} {value}");
        assert_eq!(render(&format!("{{{{ {function} $value }}}}"), value), expected, "{function} {value}");
    }
    assert_eq!(render("{{ $labels.bytes | humanize1024 }} {{ humanize $labels.stream }}", 0.0), "2ki orders");
}

#[test]
fn printf_formats_as_go_does() {
    let table = [
        ("printf \"%.2f\" $value", 2.71499, "2.71"),
        ("$value | printf \"%.0f\"", 2.6, "3"),
        ("printf \"%8.1f|%-6s|%06.1f\" $value $labels.stream $value", -2.5, "    -2.5|orders|-002.5"),
        ("printf \"%+g %v %%\" $value $value", 7.0, "+7 7 %"),
        ("printf \"%e\" $value", 1500.0, "1.500000e+03"),
        ("printf \"%.3g %.3g\" $value 0.00001234", 123456.0, "1.23e+05 1.23e-05"),
        ("printf \"%q %.3s\" $labels.stream $labels.stream | toUpper", 0.0, "\"ORDERS\" ORD"),
    ];
    for (source, value, expected) in table {
        assert_eq!(render(&format!("{{{{ {source} }}}}"), value), expected, "{source}");
    }
}

#[test]
fn what_is_not_understood_is_an_error_with_its_place() {
    let table = [
        ("{{ $value", 1, 1, "never closed"),
        ("ok {{ $valeu }}", 1, 7, "$valeu is not known"),
        ("one\n  {{ $value | humanise }}", 2, 15, "unknown function \"humanise\""),
        ("{{ if $value }}", 1, 4, "if is not supported"),
        ("{{ }}", 1, 3, "missing"),
        ("{{ $value | }}", 1, 11, "missing"),
        ("{{ | humanize }}", 1, 4, "missing"),
        ("{{ $labels }}", 1, 4, "name one"),
        ("{{ $value $value }}", 1, 11, "no arguments"),
        ("{{ humanize }}", 1, 4, "one argument, not 0"),
        ("{{ printf \"%d\" $value }}", 1, 4, "use %.0f"),
        ("{{ printf \"%s\" $value }}", 1, 4, "%s is for text"),
        ("{{ printf \"%f\" $labels.stream }}", 1, 4, "%f is for numbers"),
        ("{{ printf \"%f %f\" $value }}", 1, 4, "no argument for %f"),
        ("{{ printf \"x\" $value }}", 1, 4, "more than verbs"),
        ("{{ printf \"%999f\" $value }}", 1, 4, "above 100"),
        ("{{ (humanize $value) }}", 1, 4, "use a pipe"),
        ("{{ \"open }}", 1, 1, "never closed"),
        ("ü {{ 1x }}", 1, 6, "not a number"),
    ];
    for (source, line, column, message) in table {
        let error = Template::parse(source).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{source}: {error}");
        assert!(error.message.contains(message), "{source}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(source in "(\\{\\{|\\}\\}|[ -|\"`$.a-z%0-9ü]|\\$labels\\.x|printf ){0,30}") {
        if let Ok(template) = Template::parse(&source) {
            template.render(&Labels::new(), 1.5);
        }
    }
}
