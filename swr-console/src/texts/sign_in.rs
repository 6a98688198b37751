//! Signing in.

pub(crate) struct SignIn {
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) by_key: &'static str,
    pub(crate) account: &'static str,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    pub(crate) key: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) refused: &'static str,
    pub(crate) signed_out: &'static str,
    pub(crate) password_changed: &'static str,
    pub(crate) ended: &'static str,
}

pub(crate) const EN: SignIn = SignIn {
    title: "Sign in",
    lead: "Manage organizations, images and who may use them.",
    by_key: "With an access key",
    account: "Account",
    user: "User",
    password: "Password",
    key: "Access key ID",
    secret: "Secret access key",
    submit: "Sign in",
    refused: "That did not match. Check what you entered and try again.",
    signed_out: "You have signed out.",
    password_changed: "The password was changed. Sign in with the new one.",
    ended: "Your session has ended. Sign in again; what you had just sent was not done.",
};

pub(crate) const ZH: SignIn = SignIn {
    title: "登录",
    lead: "管理组织、镜像及其使用权限。",
    by_key: "使用访问密钥",
    account: "帐号",
    user: "用户名",
    password: "密码",
    key: "访问密钥 ID（AK）",
    secret: "私有访问密钥（SK）",
    submit: "登录",
    refused: "登录信息不正确，请检查后重试。",
    signed_out: "您已退出登录。",
    password_changed: "密码已修改，请使用新密码登录。",
    ended: "会话已结束，请重新登录；刚才提交的操作未执行。",
};
