//! From values to buckets and back.

/// The finest scale: a quantile is off by at most 1.1 %.
pub const MAX_SCALE: i32 = 5;
/// The coarsest scale: all numbers of an `f64` are in four buckets.
pub const MIN_SCALE: i32 = -10;

/// The index of the bucket of a positive finite value, at [`MAX_SCALE`].
///
/// A coarser scale's index is this one shifted right, by construction, so that coarsening is exact.
pub(super) fn index_of(value: f64) -> i32 {
    const STEPS: f64 = (1 << MAX_SCALE) as f64;
    let (fraction, exponent) = split(value);
    let first = exponent << MAX_SCALE;
    if fraction == 1.0 {
        return first - 1; // a power of two is the upper border of its bucket
    }
    let step = (fraction.log2() * STEPS).ceil() as i32;
    first + step.clamp(1, 1 << MAX_SCALE) - 1
}

/// An index at a scale, kept to the numbers that an `f64` holds: at [`MIN_SCALE`] few enough to be held all at once.
pub(super) fn clamp_index(index: i64, scale: i32) -> i32 {
    const LEAST: i32 = -1075 << MAX_SCALE;
    const GREATEST: i32 = (1024 << MAX_SCALE) - 1;
    let shift = (MAX_SCALE - scale).clamp(0, 31);
    index.clamp(i64::from(LEAST >> shift), i64::from(GREATEST >> shift)) as i32
}

/// A positive finite value as fraction in [1, 2) and exponent of two.
fn split(value: f64) -> (f64, i32) {
    const MANTISSA_BITS: u32 = 52;
    const BIAS: i32 = 1023;
    if value < f64::MIN_POSITIVE {
        let (fraction, exponent) = split(value * (1u64 << MANTISSA_BITS) as f64);
        return (fraction, exponent - MANTISSA_BITS as i32);
    }
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i32 - BIAS;
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1);
    (f64::from_bits(mantissa | (BIAS as u64) << MANTISSA_BITS), exponent)
}

/// The lower border of a bucket: the base to the power of its index. What no `f64` holds is 0 or the greatest one.
pub(super) fn lower_border(index: i32, scale: i32) -> f64 {
    (f64::from(index) * (-f64::from(scale)).exp2()).exp2().min(f64::MAX)
}

/// By how much a quantile may be off at a scale, as a fraction of its value.
pub fn relative_error(scale: i32) -> f64 {
    let base = (-f64::from(scale)).exp2().exp2();
    if base.is_finite() { (base - 1.0) / (base + 1.0) } else { 1.0 }
}
