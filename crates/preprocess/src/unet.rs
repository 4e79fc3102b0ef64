//! The lung U-Net.
