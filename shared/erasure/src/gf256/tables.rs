//! The multiplication table, and what the vector kernels need of a factor.

use std::sync::LazyLock;

/// x^8 + x^4 + x^3 + x^2 + 1 without its x^8.
const POLYNOMIAL: u8 = 0x1d;

/// Row a, column b: a · b. Made at first use.
static PRODUCTS: LazyLock<Vec<[u8; 256]>> = LazyLock::new(|| (0..=u8::MAX).map(products).collect());

fn products(a: u8) -> [u8; 256] {
    let mut row = [0; 256];
    for (b, product) in (0..=u8::MAX).zip(&mut row) {
        *product = product_of(a, b);
    }
    row
}

/// Horner's rule over the bits of b, the highest first.
fn product_of(a: u8, b: u8) -> u8 {
    (0..u8::BITS).rev().fold(0, |product, bit| {
        let addend = if b >> bit & 1 == 1 { a } else { 0 };
        double(product) ^ addend
    })
}

/// a · x (the element 2).
fn double(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 != 0 { POLYNOMIAL } else { 0 }
}

/// The products of `factor` with every element.
pub(super) fn row(factor: u8) -> &'static [u8; 256] {
    static ZEROS: [u8; 256] = [0; 256];
    PRODUCTS.get(usize::from(factor)).unwrap_or(&ZEROS)
}

/// Multiplication by `factor` as the bit matrix of `gf2p8affineqb`: byte 7 - i holds the row whose
/// parity with the operand is bit i of the product.
pub(super) fn bit_matrix(factor: u8) -> u64 {
    let mut rows = [0_u8; 8];
    for (bit, row) in rows.iter_mut().rev().enumerate() {
        for (j, power) in [1, 2, 4, 8, 16, 32, 64, 128].into_iter().enumerate() {
            *row |= ((super::multiply(factor, power) >> bit) & 1) << j;
        }
    }
    u64::from_le_bytes(rows)
}

/// The products of `factor` with the 16 low nibbles, then with the 16 high ones.
pub(super) fn nibble_products(factor: u8) -> [u8; 32] {
    let mut products = [0; 32];
    let (low, high) = products.split_at_mut(16);
    for (nibble, (low, high)) in (0_u8..16).zip(low.iter_mut().zip(high)) {
        *low = super::multiply(factor, nibble);
        *high = super::multiply(factor, nibble << 4);
    }
    products
}
