"""What a new configuration leaves as it was, as the very same objects: who keeps something for it tells by identity."""

import msgspec

from daemon.config.schema import Config, Resource
from daemon.slices import Steps, batches


def kept_where_equal(before: Config, after: Config) -> Steps[Config]:
    """Return `after` with the sections and Resources of `before` where they are equal; `before` if all of it is."""
    if after is before:
        return before
    held = {resource.name: resource for resource in before.resources}
    resources: list[Resource] = []
    for batch in batches(after.resources):
        resources += [old if (old := held.get(new.name)) == new and old is not None else new for new in batch]
        yield
    kept: dict[str, object] = {"resources": tuple(resources)}
    if len(resources) == len(before.resources) and all(map(_same, resources, before.resources)):
        kept["resources"] = before.resources
    for field in msgspec.structs.fields(Config):
        if field.name != "resources" and (old := getattr(before, field.name)) == getattr(after, field.name):
            kept[field.name] = old
    if all(kept.get(field.name) is getattr(before, field.name) for field in msgspec.structs.fields(Config)):
        return before
    return msgspec.structs.replace(after, **kept)


def _same(one: object, other: object) -> bool:
    return one is other
