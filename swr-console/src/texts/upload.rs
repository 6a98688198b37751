//! Packages that are brought in.

use swr_packages::{ImportError, UploadError};

pub(crate) struct Upload {
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) choose: &'static str,
    pub(crate) organisation_hint: &'static str,
    pub(crate) target: &'static str,
    pub(crate) target_hint: &'static str,
    pub(crate) repository: &'static str,
    pub(crate) files: &'static str,
    pub(crate) files_hint: fn(usize, &str) -> String,
    pub(crate) send: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) too_many: fn(usize) -> String,
    pub(crate) taking: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) taken: &'static str,
    pub(crate) refused: &'static str,
    pub(crate) no_organisation: &'static str,
    pub(crate) bad_target: &'static str,
    pub(crate) format: fn(&str) -> String,
    pub(crate) denied: &'static str,
    pub(crate) too_large: fn(u64) -> String,
    pub(crate) interrupted: &'static str,
    pub(crate) unreadable: &'static str,
    pub(crate) target_of_many: &'static str,
    pub(crate) no_file: &'static str,
}

impl Upload {
    /// Why a package, or an image of one, was not taken.
    pub(crate) fn explain(&self, error: &ImportError) -> String {
        match error {
            ImportError::Format(defect) => (self.format)(&defect.to_string()),
            ImportError::Denied(_) => self.denied.to_owned(),
            ImportError::TooLarge { limit } => (self.too_large)(*limit),
            ImportError::Interrupted(_) => self.interrupted.to_owned(),
            ImportError::Unreadable(_) => self.unreadable.to_owned(),
            // What content says is the distribution protocol's, in its own words.
            other => other.to_string(),
        }
    }

    /// Why an upload goes no further.
    pub(crate) fn broken(&self, error: &UploadError) -> String {
        match error {
            UploadError::TooManyFiles(_) => (self.too_many)(swr_packages::import::FILES_MAX),
            UploadError::TargetOfMany => self.target_of_many.to_owned(),
            UploadError::NoFile => self.no_file.to_owned(),
            UploadError::Form(_) => self.interrupted.to_owned(),
            other => other.to_string(),
        }
    }
}

pub(crate) const EN: Upload = Upload {
    title: "Upload packages",
    lead: "Takes what docker save writes, and OCI image layouts. The package says which images and versions it holds.",
    choose: "Choose files",
    organisation_hint: "Images go into it. You need the permission to edit all of it.",
    target: "Choose the image and version yourself",
    target_hint: "For one package with one image, such as one that was saved by its ID.",
    repository: "Image",
    files: "Packages",
    files_hint: |count, size| {
        format!("tar or tar.gz; at most {count} files, each at most {size}, also unpacked.")
    },
    send: "Upload",
    outcome: "Outcome",
    too_many: |limit| format!("At most {limit} files at once."),
    taking: "Sent; being taken in …",
    failed: "It could not be sent.",
    taken: "Uploaded",
    refused: "Refused",
    no_organisation: "There is no organization that you may upload to.",
    bad_target: "The image or the version is no name.",
    format: |defect| format!("Invalid image format: {defect}"),
    denied: "Authentication failed.",
    too_large: |limit| format!("A package has at most {limit} bytes."),
    interrupted: "The package broke off before its end.",
    unreadable: "The registry could not read the package. Try again later.",
    target_of_many: "An image and a version can be named for one file.",
    no_file: "There is no file in the upload.",
};

pub(crate) const ZH: Upload = Upload {
    title: "页面上传",
    lead: "支持 docker save 导出的镜像包和 OCI 镜像包，镜像名称和版本由镜像包决定。",
    choose: "选择文件",
    organisation_hint: "镜像将上传到该组织，需要该组织的编辑权限。",
    target: "指定镜像名称和版本",
    target_hint: "仅用于包含单个镜像的一个镜像包，例如按镜像 ID 保存的镜像包。",
    repository: "镜像名称",
    files: "镜像包",
    files_hint: |count, size| {
        format!("tar 或 tar.gz 文件，最多 {count} 个，单个不超过 {size}（解压后亦然）。")
    },
    send: "开始上传",
    outcome: "上传结果",
    too_many: |limit| format!("一次最多上传 {limit} 个文件。"),
    taking: "已发送，正在处理……",
    failed: "上传失败。",
    taken: "上传成功",
    refused: "被拒绝",
    no_organisation: "没有您可以上传的组织。",
    bad_target: "镜像名称或版本无效。",
    format: |defect| format!("镜像格式错误：{defect}"),
    denied: "认证失败。",
    too_large: |limit| format!("镜像包最多 {limit} 字节。"),
    interrupted: "镜像包未完整上传。",
    unreadable: "服务无法读取镜像包，请稍后再试。",
    target_of_many: "指定镜像名称和版本时只能上传一个文件。",
    no_file: "没有选择文件。",
};
