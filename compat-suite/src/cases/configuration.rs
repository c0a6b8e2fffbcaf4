//! Get…, Put… and Delete… of the configuration of a fresh bucket and object: what was never configured is said to be so.

use super::{Scene, cases};
use crate::call::Call;
use crate::expectation::{Outcome, document, equal, error, holds, status};

cases!("Configuration", "API_Operations_Amazon_Simple_Storage_Service":
    empty_documents_say_that_nothing_is_configured,
    missing_configuration_has_a_code_of_its_own,
    configuration_by_id_is_no_such_configuration,
    the_owner_pays,
    a_missing_bucket_is_no_such_bucket,
    removing_what_is_not_there_is_done,
    an_object_without_tags_has_an_empty_tag_set,
    a_bucket_without_locks_has_no_lock_to_tell_of,
    a_missing_object_is_no_such_key,
    the_owner_has_full_control,
    a_private_acl_may_be_put_again,
    a_put_without_an_acl_is_refused,
);

fn empty_documents_say_that_nothing_is_configured(scene: &Scene) -> Outcome {
    for (key, root) in [
        ("versioning", "VersioningConfiguration"),
        ("logging", "BucketLoggingStatus"),
        ("notification", "NotificationConfiguration"),
        ("accelerate", "AccelerateConfiguration"),
    ] {
        let response = scene.send(&scene.on_bucket("GET").query(key, ""))?;
        status(&response, 200)?;
        let root = document(&response, root)?;
        equal(key, root.children.len(), 0)?;
    }
    Ok(())
}

fn missing_configuration_has_a_code_of_its_own(scene: &Scene) -> Outcome {
    for (key, code) in [
        ("cors", "NoSuchCORSConfiguration"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("policy", "NoSuchBucketPolicy"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("tagging", "NoSuchTagSet"),
        ("website", "NoSuchWebsiteConfiguration"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ] {
        let response = scene.send(&scene.on_bucket("GET").query(key, ""))?;
        error(&response, 404, code)?;
        let root = document(&response, "Error")?;
        equal("BucketName", root.child("BucketName"), Some(&*scene.bucket))?;
    }
    Ok(())
}

fn configuration_by_id_is_no_such_configuration(scene: &Scene) -> Outcome {
    for key in ["metrics", "inventory", "analytics", "intelligent-tiering"] {
        let call = scene.on_bucket("GET").query(key, "").query("id", "one");
        error(&scene.send(&call)?, 404, "NoSuchConfiguration")?;
    }
    Ok(())
}

fn the_owner_pays(scene: &Scene) -> Outcome {
    let response = scene.send(&scene.on_bucket("GET").query("requestPayment", ""))?;
    status(&response, 200)?;
    let root = document(&response, "RequestPaymentConfiguration")?;
    equal("Payer", root.child("Payer"), Some("BucketOwner"))
}

fn a_missing_bucket_is_no_such_bucket(scene: &Scene) -> Outcome {
    for key in ["versioning", "policy", "acl", "tagging"] {
        let call = Call::new("GET", &format!("{}-none", scene.bucket)).query(key, "");
        error(&scene.send(&call)?, 404, "NoSuchBucket")?;
    }
    Ok(())
}

fn removing_what_is_not_there_is_done(scene: &Scene) -> Outcome {
    for key in ["policy", "cors", "lifecycle", "tagging", "website"] {
        let response = scene.send(&scene.on_bucket("DELETE").query(key, ""))?;
        status(&response, 204)?;
        equal("body", response.body.len(), 0)?;
    }
    // The bucket itself is still there.
    status(&scene.send(&scene.on_bucket("HEAD"))?, 200)
}

fn an_object_without_tags_has_an_empty_tag_set(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    let response = scene.send(&scene.on("GET", "k").query("tagging", ""))?;
    status(&response, 200)?;
    let root = document(&response, "Tagging")?;
    equal("tags", root.texts("TagSet/Tag/Key").len(), 0)?;
    let response = scene.send(&scene.on("DELETE", "k").query("tagging", ""))?;
    status(&response, 204)?;
    scene.get("k").map(|_| ())
}

fn a_bucket_without_locks_has_no_lock_to_tell_of(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    for key in ["retention", "legal-hold"] {
        let response = scene.send(&scene.on("GET", "k").query(key, ""))?;
        error(&response, 400, "InvalidRequest")?;
    }
    Ok(())
}

fn a_missing_object_is_no_such_key(scene: &Scene) -> Outcome {
    for key in ["acl", "tagging"] {
        let response = scene.send(&scene.on("GET", "none").query(key, ""))?;
        error(&response, 404, "NoSuchKey")?;
    }
    Ok(())
}

fn the_owner_has_full_control(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    for call in [scene.on_bucket("GET"), scene.on("GET", "k")] {
        let response = scene.send(&call.query("acl", ""))?;
        status(&response, 200)?;
        let root = document(&response, "AccessControlPolicy")?;
        let owner = root.texts("Owner/ID");
        holds(owner.len() == 1, "one owner")?;
        equal(
            "grantee",
            root.texts("AccessControlList/Grant/Grantee/ID"),
            owner,
        )?;
        equal(
            "permission",
            root.texts("AccessControlList/Grant/Permission"),
            ["FULL_CONTROL"],
        )?;
    }
    Ok(())
}

fn a_private_acl_may_be_put_again(scene: &Scene) -> Outcome {
    scene.put("k", b"abc")?;
    for call in [scene.on_bucket("PUT"), scene.on("PUT", "k")] {
        let call = call.query("acl", "").header("x-amz-acl", "private");
        status(&scene.send(&call)?, 200)?;
    }
    equal("body", scene.get("k")?.body, b"abc")
}

fn a_put_without_an_acl_is_refused(scene: &Scene) -> Outcome {
    let call = scene.on_bucket("PUT").query("acl", "");
    error(&scene.send(&call)?, 400, "MissingSecurityHeader")
}
