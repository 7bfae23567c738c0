//! Changing the type of an attribute.

use streamgauge_pdata::edit::Editor;
use streamgauge_pdata::view::Value;

use super::ConvertedType;

/// Converts an attribute. What has no meaning in the other type stays as it is.
pub(super) fn convert(key: &str, to: ConvertedType, attributes: &mut Editor<'_>) {
    let Ok(Some(value)) = attributes.get(key) else { return };
    match to {
        ConvertedType::String => {
            if !matches!(value, Value::Str(_))
                && let Ok(text) = value.to_text().map(|text| text.into_owned())
            {
                attributes.update(key, text);
            }
        }
        ConvertedType::Int => {
            let number = match value {
                Value::Double(number) => Some(number as i64),
                Value::Bool(bool) => Some(i64::from(bool)),
                Value::Str(text) => text.parse().ok(),
                _ => None,
            };
            number.map(|number| attributes.update(key, number));
        }
        ConvertedType::Double => {
            let number = match value {
                Value::Int(number) => Some(number as f64),
                Value::Bool(bool) => Some(f64::from(u8::from(bool))),
                Value::Str(text) => text.parse().ok(),
                _ => None,
            };
            number.map(|number| attributes.update(key, number));
        }
    }
}
