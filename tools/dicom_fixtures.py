#!/usr/bin/env python3
"""Makes the DICOM files of crates/preprocess/tests/fixtures/dicom: one small picture in each transfer syntax.

    python3 -m venv .venv && .venv/bin/pip install pydicom==3.0.2 numpy==2.4.6 python-gdcm==3.2.6 pyjpegls==1.5.1 \
        pylibjpeg==2.1.0 pylibjpeg-libjpeg==2.5.0 pylibjpeg-openjpeg==2.6.0 SimpleITK==2.5.7
    .venv/bin/python tools/dicom_fixtures.py crates/preprocess/tests/fixtures/dicom

Beside the files stand `*.hu`, their values in HU (16 bits, little endian, row by row) as pydicom reads them; where
SimpleITK reads the file too, it must agree.
"""

import subprocess
import sys
from pathlib import Path

# python-gdcm brings a zlib of its own that breaks Python's: it works in processes of its own, see by_gdcm.
sys.modules["gdcm"] = None

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

ROOT = "2.25.190373019847264103312790218804177043210"
ROWS, COLUMNS = 48, 64


def picture() -> np.ndarray:
    """Air, a body with noise and two lungs, in HU; even numbers, so that a slope of 2 can write them."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(float)
    body = ((x - 32) / 28) ** 2 + ((y - 24) / 20) ** 2 < 1
    lung = ((np.abs(x - 32) - 13) / 8) ** 2 + ((y - 24) / 12) ** 2 < 1
    noise = np.random.default_rng(1).integers(-20, 20, (ROWS, COLUMNS))
    hu = np.where(lung, -850 + noise, np.where(body, 40 + noise, -1000))
    hu[2:5, 30:34] = 2000
    return (hu // 2 * 2).astype(np.int16)


def base(sop_class: str, name: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{sum(name.encode())}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.Modality = "CT"
    image.PatientID, image.PatientName = "P", "Doe^Jane"
    image.PatientBirthDate = "19500101"
    image.StudyInstanceUID, image.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    image.SeriesNumber, image.SeriesDescription, image.InstanceNumber = 3, "Thorax 1.0", 1
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = 16
    return image


def single(name: str, signed: bool) -> FileDataset:
    image = base(CTImageStorage, name)
    image.SliceThickness = 5
    image.ImagePositionPatient, image.ImageOrientationPatient = [-64, -48, 10], [1, 0, 0, 0, 1, 0]
    image.PixelSpacing = [2, 2]
    image.Rows, image.Columns = ROWS, COLUMNS
    slope, intercept, bits = (1, 0, 16) if signed else (2, -1024, 12)
    image.RescaleSlope, image.RescaleIntercept = slope, intercept
    image.BitsStored, image.HighBit, image.PixelRepresentation = bits, bits - 1, int(signed)
    stored = (picture().astype(int) - intercept) // slope
    image.PixelData = stored.astype("<i2" if signed else "<u2").tobytes()
    return image


GDCM = """
import gdcm, sys
source, target, syntax = sys.argv[1:]
reader = gdcm.ImageReader()
reader.SetFileName(source)
assert reader.Read()
change = gdcm.ImageChangeTransferSyntax()
change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
change.SetInput(reader.GetImage())
assert change.Change()
writer = gdcm.ImageWriter()
writer.SetFileName(target)
writer.SetFile(reader.GetFile())
writer.SetImage(change.GetOutput())
assert writer.Write()
"""


def by_gdcm(source: Path, target: Path, syntax: str) -> None:
    subprocess.run([sys.executable, "-c", GDCM, str(source), str(target), syntax], check=True)


def values(path: Path) -> np.ndarray:
    """HU as pydicom reads them, checked against SimpleITK where it reads the file."""
    image = pydicom.dcmread(path)
    hu = image.pixel_array.astype(float) * float(image.RescaleSlope) + float(image.RescaleIntercept)
    try:
        other = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]
    except RuntimeError as error:
        print(f"{path.name}: SimpleITK does not read it ({str(error).splitlines()[-1][:60]})")
    else:
        assert np.array_equal(hu, other), path
    return hu.astype("<i2")


def singles(folder: Path) -> None:
    native = {"implicit": ImplicitVRLittleEndian, "explicit": ExplicitVRLittleEndian,
              "deflated": DeflatedExplicitVRLittleEndian}
    coded = {"rle": (RLELossless, {}), "jpeg-ls": (JPEGLSLossless, {}), "jpeg-2000": (JPEG2000Lossless, {}),
             "jpeg-ls-near": (JPEGLSNearLossless, {"jls_error": 3}), "jpeg-2000-lossy": (JPEG2000, {"j2k_psnr": [70]})}
    gdcm_coded = {"big-endian": "ExplicitVRBigEndian", "jpeg-57": "JPEGLosslessProcess14",
                  "jpeg-70": "JPEGLosslessProcess14_1"}
    for sign in ["signed", "unsigned"]:
        for name, syntax in native.items():
            image = single(f"{sign}-{name}", sign == "signed")
            image.file_meta.TransferSyntaxUID = syntax
            image.save_as(folder / f"{sign}-{name}.dcm", enforce_file_format=True)
        for name, (syntax, options) in coded.items():
            image = single(f"{sign}-{name}", sign == "signed")
            image.compress(syntax, generate_instance_uid=False, **options)
            image.save_as(folder / f"{sign}-{name}.dcm", enforce_file_format=True)
        for name, syntax in gdcm_coded.items():
            by_gdcm(folder / f"{sign}-explicit.dcm", folder / f"{sign}-{name}.dcm", syntax)
        for name in [*native, *coded, *gdcm_coded]:
            hu = values(folder / f"{sign}-{name}.dcm")
            if name in ("jpeg-ls-near", "jpeg-2000-lossy"):
                assert 0 < np.abs(hu.astype(int) - picture()).max() < 300, name
                (folder / f"{sign}-{name}.hu").write_bytes(hu.tobytes())
            else:
                assert np.array_equal(hu, picture()), name
    (folder / "picture.hu").write_bytes(picture().astype("<i2").tobytes())


def item(**elements) -> Dataset:
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def enhanced(folder: Path) -> None:
    """Five frames of 12 x 16, not in order, each with a rescale of its own."""
    image = base(EnhancedCTImageStorage, "enhanced")
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    places = [20.0, 10.0, 0.0, 30.0, 40.0]
    image.Rows, image.Columns, image.NumberOfFrames = 12, 16, len(places)
    image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 15, 0
    shared = item(
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[2, 1.5], SliceThickness=5)]),
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
        CTImageFrameTypeSequence=Sequence([item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])]),
    )
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    frames, groups, hu = [], [], []
    for index, z in enumerate(places):
        slope, intercept = 1 + index % 2, -1000 - 2 * index
        stored = np.arange(12 * 16).reshape(12, 16) + 100 * index
        frames.append(stored.astype("<u2"))
        hu.append(stored * slope + intercept)
        groups.append(item(
            PlanePositionSequence=Sequence([item(ImagePositionPatient=[-12, -12, z])]),
            PixelValueTransformationSequence=Sequence(
                [item(RescaleIntercept=intercept, RescaleSlope=slope, RescaleType="HU")]),
            FrameContentSequence=Sequence([item(StackID="1", InStackPositionNumber=index + 1)]),
        ))
    image.PerFrameFunctionalGroupsSequence = Sequence(groups)
    image.PixelData = np.stack(frames).tobytes()
    image.save_as(folder / "enhanced-explicit.dcm", enforce_file_format=True)
    for name, syntax in {"rle": RLELossless, "jpeg-ls": JPEGLSLossless}.items():
        coded = pydicom.dcmread(folder / "enhanced-explicit.dcm")
        coded.compress(syntax, generate_instance_uid=False)
        coded.save_as(folder / f"enhanced-{name}.dcm", enforce_file_format=True)
        assert np.array_equal(pydicom.dcmread(folder / f"enhanced-{name}.dcm").pixel_array, np.stack(frames))
    (folder / "enhanced.hu").write_bytes(np.stack(hu).astype("<i2").tobytes())


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    singles(target)
    enhanced(target)
    print(f"{len(list(target.iterdir()))} files, {sum(file.stat().st_size for file in target.iterdir())} bytes")
