//! Where an attribute of a frame stands: in its own functional group, in the shared one, or in the data set (PS3.3 C.7.6.16).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::values::Values;

/// The places where attributes of one frame may stand.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    own: Option<&'a InMemDicomObject>,
    shared: Option<&'a InMemDicomObject>,
    data: &'a InMemDicomObject,
}

impl<'a> Groups<'a> {
    /// The groups of a frame, from 0; of a file without frames for `None`.
    pub fn new(data: &'a InMemDicomObject, frame: Option<u32>) -> Self {
        let own = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let own = frame.and_then(|frame| own.get(usize::try_from(frame).ok()?));
        Self { own, shared: data.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first(), data }
    }

    /// The item of a group; the data set itself where the frame has no such group.
    pub fn item(&self, group: Tag) -> &'a InMemDicomObject {
        let item = |place: Option<&'a InMemDicomObject>| place.and_then(|place| place.items(group).first());
        item(self.own).or_else(|| item(self.shared)).unwrap_or(self.data)
    }

    /// The item of a group that is the frame's own.
    pub fn own_item(&self, group: Tag) -> Option<&'a InMemDicomObject> {
        self.own?.items(group).first()
    }
}
