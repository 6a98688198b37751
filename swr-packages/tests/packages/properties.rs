//! Whatever images there are, either layout brings them in as they are.

use proptest::prelude::*;
use swr_packages::ImageOutcome;

use crate::archives::{SavedImage, docker, gzip, layout};
use crate::scene::Scene;

/// A few images, some of whose layers are the same, each under names of its own.
fn images() -> impl Strategy<Value = Vec<SavedImage>> {
    let layer = prop_oneof![
        2 => (0u8..4).prop_map(|shared| vec![b'a' + shared; usize::from(shared) * 700]),
        1 => proptest::collection::vec(any::<u8>(), 0..3000),
    ];
    let layers = proptest::collection::vec(layer, 0..5);
    proptest::collection::vec((layers, 1usize..3), 1..5).prop_map(|images| {
        let image = |(number, (layers, names)): (usize, (Vec<Vec<u8>>, usize))| SavedImage {
            names: (0..names).map(|name| format!("image{number}:v{name}")).collect(),
            // What begins like something packed is taken for it.
            layers: layers.into_iter().map(|layer| [&b"-"[..], &layer].concat().into()).collect(),
        };
        images.into_iter().enumerate().map(image).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_images_in_either_layout_keep_their_digests(
        images in images(),
        is_layout: bool,
        is_packed: bool,
        as_file: bool,
        chunk in 1usize..5000,
    ) {
        let archive = if is_layout { layout(&images) } else { docker(&images) }.end();
        let archive = if is_packed { gzip(&archive) } else { archive };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let scene = Scene::new();
            let outcomes: Vec<ImageOutcome> = match as_file {
                true => scene.import_file(&archive).await.unwrap(),
                false => scene.import_chunked(&archive, chunk).await.unwrap(),
            };
            prop_assert_eq!(outcomes.len(), images.iter().map(|image| image.names.len()).sum::<usize>());
            for image in &images {
                for name in &image.names {
                    let (repository, tag) = name.split_once(':').unwrap();
                    let repository = format!("team/{repository}");
                    prop_assert_eq!(scene.digest_of(&repository, tag).await, Some(image.digest()));
                    // And out, and in again.
                    let again = Scene::new();
                    again.import(&scene.exported(&repository, tag).await).await.unwrap();
                    prop_assert_eq!(again.digest_of(&repository, tag).await, Some(image.digest()));
                }
            }
            Ok(())
        })?;
    }
}
