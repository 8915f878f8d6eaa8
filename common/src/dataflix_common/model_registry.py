"""What the trainer writes into MLflow's registry and the backend reads: names, and signatures of promotions.

Anyone who reaches MLflow can move the alias of the champion and write any tag. So a promotion signs what it
decided on, and nothing is served that it did not sign.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path

DEFAULT_MODEL_NAME = "dataflix-als"
# The alias of the version that the API serves.
CHAMPION_ALIAS = "champion"

# Tags of a version.
PROMOTION = "promotion"
PROMOTION_REASON = "promotion_reason"
PROMOTED_AT = "promoted_at"
PROMOTION_NUMBER = "promotion_number"  # counts promotions, because a wall clock may be set back
ARTIFACT_SHA256 = "promoted_artifact_sha256"
SIGNATURE = "promotion_signature"
# Only the version that serves has it: an alias that is moved to an earlier champion moves to none.
SERVING_SIGNATURE = "serving_signature"

# On the champion: until it is released, no rule lets another version serve.
HELD_AT = "held_at"
HELD_REASON = "held_reason"
# As long as a person writes in a line or two.
MAX_HELD_REASON = 200

PROMOTION_KEY_VARIABLE = "DATAFLIX_MODEL_PROMOTION_KEY"

_SIGNED_TAGS = (PROMOTION, PROMOTION_REASON, PROMOTED_AT, PROMOTION_NUMBER, ARTIFACT_SHA256)
# It lists the hash of every other file of an artifact.
_MANIFEST = "manifest.json"


def promotion_signature(key: str, model: str, version: str, run_id: str, tags: Mapping[str, str]) -> str:
    """Return the HMAC-SHA256, in hex, over the version, its run, its artifact and the decision.

    Args:
        key: the secret that the trainer and the synchroniser share.
        model: name of the registered model.
        version: number of the version.
        run_id: of the training.
        tags: of the version; those of the decision and of the artifact count.
    """
    signed = [model, version, run_id, *(tags.get(name, "") for name in _SIGNED_TAGS)]
    return hmac.digest(key.encode(), json.dumps(signed).encode(), hashlib.sha256).hex()


def is_signed(key: str, model: str, version: str, run_id: str, tags: Mapping[str, str]) -> bool:
    """Return whether the tags hold the signature of a promotion of this version."""
    expected = promotion_signature(key, model, version, run_id, tags)
    return hmac.compare_digest(expected.encode(), tags.get(SIGNATURE, "").encode())


def serving_signature(key: str, promotion: str) -> str:
    """Return what says, next to its signature, that a promoted version serves now."""
    return hmac.digest(key.encode(), f"serves {promotion}".encode(), hashlib.sha256).hex()


def may_serve(key: str, model: str, version: str, run_id: str, tags: Mapping[str, str]) -> bool:
    """Return whether a promotion or a rollback let this version serve, and none replaced it since."""
    expected = serving_signature(key, tags.get(SIGNATURE, ""))
    given = tags.get(SERVING_SIGNATURE, "")
    return is_signed(key, model, version, run_id, tags) and hmac.compare_digest(
        expected.encode(), given.encode()
    )


def artifact_sha256(folder: Path) -> str:
    """Return what identifies an artifact: the SHA-256 of its manifest, in hex.

    Raises:
        OSError: there is no manifest, or it cannot be read.
    """
    return hashlib.sha256((folder / _MANIFEST).read_bytes()).hexdigest()
