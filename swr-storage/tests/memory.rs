//! The stores in memory keep the contracts.

mod blobs {
    swr_core::blob_store_suite!({ swr_storage::MemoryBlobs::new() });
}

mod uploads {
    swr_core::upload_store_suite!({ swr_storage::MemoryBlobs::new() });
}

mod manifests {
    swr_core::manifest_store_suite!({ swr_storage::MemoryManifests::new() });
}

#[cfg(feature = "control")]
mod metadata {
    swr_core::metadata_store_suite!({ swr_storage::MemoryManifests::new() });
}
