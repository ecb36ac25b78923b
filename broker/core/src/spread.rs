//! Numbers that look random and are not: the core has no randomness of its own.

/// SplitMix64: spreads a counter over all bits.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Jump consistent hash (Lamping and Veach): a bucket below `buckets` for this number. When a bucket is added, only the
/// numbers that it gets move.
pub(crate) fn bucket(mut number: u64, buckets: usize) -> usize {
    let (mut found, mut next) = (0_u64, 0_u64);
    while next < buckets as u64 {
        found = next;
        number = number.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let stride = (1_u64 << 31) as f64 / ((number >> 33) + 1) as f64;
        next = ((found + 1) as f64 * stride) as u64;
    }
    found as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_spread_evenly_over_buckets() {
        let mut counts = [0; 7];
        for n in 0..70_000 {
            counts[bucket(mix(n), 7)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!((bucket(mix(3), 0), bucket(mix(3), 1)), (0, 0));
    }

    #[test]
    fn one_more_bucket_moves_only_what_it_gets() {
        for n in 0..10_000 {
            let (before, after) = (bucket(mix(n), 9), bucket(mix(n), 10));
            assert!(after == before || after == 9);
        }
    }
}
