//! The portable kernel: one table row per factor.

use std::ops::Range;

use super::tables;

/// `outputs[r][c] = xor over j of factors[r][j] * inputs[j][c]` for the columns given; `factors`
/// row by row, one per input.
pub(super) fn apply(
    factors: &[u8],
    inputs: &[&[u8]],
    outputs: &mut [&mut [u8]],
    columns: Range<usize>,
) {
    for (factors, output) in factors.chunks(inputs.len().max(1)).zip(outputs) {
        let Some(output) = output.get_mut(columns.clone()) else {
            continue;
        };
        output.fill(0);
        for (factor, input) in factors.iter().zip(inputs) {
            let row = tables::row(*factor);
            for (sum, byte) in output
                .iter_mut()
                .zip(input.get(columns.clone()).unwrap_or_default())
            {
                *sum ^= row.get(usize::from(*byte)).copied().unwrap_or_default();
            }
        }
    }
}
