"""A task on streams of clips that takes several kinds of backbone."""

from __future__ import annotations

from zorro_keras.applications.training.preset_task import PresetTask


class BackboneTask(PresetTask):
    """Becomes, when it is made, the subclass for the kind of its backbone.

    keras-hub finds the task of a preset by the class of its backbone, so each class of backbone has a task: a
    subclass that names it as `backbone_cls`. A task says by `served(outputs)` what an export answers.
    """

    def __new__(cls, backbone=None, *args, **kwargs):
        kinds = {kind.backbone_cls: kind for kind in cls.__subclasses__()}
        return super().__new__(kinds.get(type(backbone), cls), backbone, *args, **kwargs)

    @classmethod
    def _check_backbone(cls, backbone):
        if not isinstance(backbone, cls.backbone_cls):
            kinds = [kind.backbone_cls.__name__ for kind in (cls, *cls.__subclasses__())]
            raise ValueError(f"`{cls.__name__}` takes one of {kinds}. Received: {type(backbone).__name__}")

    def export_endpoints(self):
        """Returns what an export serves: see `clip_endpoints`."""
        from zorro_keras.applications.training.clip_endpoints import clip_endpoints

        return clip_endpoints(self)
