"""Which folders of images are which classes: what is known of that, and whether it can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdshift.errors import InputError
from bdshift.files import usable
from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.session import OpenImages, State
from bdshift_gui.tasks.opening import read_images

if TYPE_CHECKING:
    from bdshift.audit.images_record import ImagesRecord
    from bdshift.images.labels import ClassMap


@dataclass(frozen=True)
class FolderClasses:
    """The folders of images, and what they are taken for so far.

    Attributes:
        classes: of the network.
        folders: name and number of images of each.
        order: the class of each folder, `LEFT_OUT` for none; a folder without an entry has none.
        names: of the classes; () if they are not known.
    """

    classes: int
    folders: tuple[tuple[str, int], ...]
    order: Mapping[str, int]
    names: tuple[str, ...] = ()


def list_folders(context: Context, done: Callable[[FolderClasses], None]) -> None:
    """List the folders of the images, those of the audit if no others are open; ``done`` gets them
    with the classes that they are taken for. If the audit's images are not there any more, the
    folders are those that it remembers.
    """
    state = context.state

    def run(job: JobContext) -> tuple[OpenImages | None, FolderClasses]:
        assert state.images_path is not None
        try:
            images = state.images or read_images(usable(state.images_path), job)
        except InputError:
            if state.audit is None or not state.audit.images.folders:
                raise
            return None, _remembered(state.audit.images)
        return images, _known(state, images)

    def listed(found: tuple[OpenImages | None, FolderClasses]) -> None:
        images, known = found
        if images is not None:
            context.session.update(images=images)
        done(known)

    context.start(Sentence("Listing the images"), run, listed)


def _remembered(images: ImagesRecord) -> FolderClasses:
    counts = tuple(
        (folder, images.counts[index] if 0 <= index < len(images.counts) else 0)
        for folder, index in images.folders.items()
    )
    return FolderClasses(len(images.counts), counts, images.folders, images.class_names)


def _known(state: State, images: OpenImages) -> FolderClasses:
    from bdshift.errors import UsageError

    folders = images.collection.folders
    try:
        order = dict(zip(folders, _mapped(state, images).of_folder, strict=True))
    except (InputError, UsageError):
        order = {name: i for i, name in enumerate(folders) if i < _classes(state, images)}
    names: tuple[str, ...] = ()
    if state.audit is not None:
        names = state.audit.images.class_names
    elif state.model is not None:
        names = state.model.opened.class_names
    counts = tuple(zip(folders, images.counts, strict=True))
    return FolderClasses(_classes(state, images), counts, order, names)


def _classes(state: State, images: OpenImages) -> int:
    """A CLIP model has as many classes as there are names."""
    if state.audit is not None:
        return len(state.audit.images.counts)
    assert state.model is not None
    return state.model.opened.classes or len(images.counts)


def _mapped(state: State, images: OpenImages) -> ClassMap:
    """The folders as the next scan takes them. Raises as `map_classes`."""
    from bdshift.audit.stages import places_of_names
    from bdshift.images.labels import map_classes

    folders, classes = images.collection.folders, _classes(state, images)
    given = state.corrections.labels
    if given is None and state.audit is not None:
        given = state.audit.images.folder_index
    model = None if state.model is None else state.model.opened
    names = () if model is None else model.class_names
    places = places_of_names(images.collection, None if model is None else model.file.path)
    return map_classes(folders, classes, given, names, places)


def look_at_classes(context: Context, state: State) -> None:
    """Find out whether folders and classes fit each other, before any scan."""
    model, images, given = state.model, state.images, state.corrections.labels
    if model is None or images is None or state.audit is not None or model.opened.needs_names:
        context.quick.forget(look_at_classes)
        return

    def look() -> Sentence | None:
        from bdshift.audit.stages import places_of_names
        from bdshift.images.class_fit import class_doubt

        opened, collection = model.opened, images.collection
        places = places_of_names(collection, opened.file.path)
        names = opened.class_names
        return class_doubt(collection.folders, opened.classes, given, names, places)

    context.quick.ask(
        look_at_classes, look, lambda found: context.session.update(class_doubt=found)
    )
