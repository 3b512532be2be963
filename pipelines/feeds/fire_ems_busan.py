"""Ambulance dispatches published by Busan: the EMS file of the national fire data platform (bigdata-119).

Grain: one row per patient of a responding unit. A snapshot: `rptp_no` numbers a unit's report, not the call, so staging
combines reports with the same report time and district into one incident. Pitfalls: every `…_tm` has lost its leading
zeros ('24' is 00:00:24, '4200' is 00:42:00); each stage has its own date, so dispatches past midnight are complete;
naive Korean time; trailing spaces; no coordinates, only the district; no arrival time at the hospital. Patient
attributes (sex, symptoms, pulse) are dropped before anything but the landed bytes is stored.
"""

from pipelines.feeds.protocols import fire_files

FEED = fire_files.feed(
    "fire_ems_busan",
    staged_like="unit_file",
    used=(
        "rptp_no",
        "dclr_ymd",
        "dclr_tm",
        "dspt_ymd",
        "dspt_tm",
        "grnds_arvl_ymd",
        "grnds_arvl_tm",
        "ptn_cntc_ymd",
        "ptn_cntc_tm",
        "grnds_dptre_ymd",
        "grnds_dptre_tm",
        "cbk_ymd",
        "cbk_tm",
        "frstn_nm",
        "cntr_nm",
        "lfdau_nm",
        "grnds_ctpv_nm",
        "grnds_sgg_nm",
        "ptn_ocrn_type_nm",
        "etc_ocrn_type_nm",
        "etc_ocrn_type_dtl_nm",
        "acdnt_injr_nm",
        "ntrma_damg_nm",
        "ntrma_etc_damg_nm",
    ),
    unused=(
        "trans2_rsn",
        "grnds2_dstnc",
        "trans3_rsn",
        "grnds3_dstnc",
        "trfc_acdnt_se_nm",
        "rlf_actv_se_nm",
        "etc_trfc_acdnt_nm",
        "anml_etc_clsf_nm",
        "anml_clsf_nm",
        "reg_cmptn_se_nm",
        "acdnt_etc_injr_nm",
        "acdnt_ocrn_plc_nm",
        "hrtarst_nm",
        "crdvsc_crvsscr_se_nm",
        "thml_damg_nm",
        "trans_clsf_nm",
        "trans_clsf_rsn",
        "trmn_se_nm",
        "sril_oncr_nm",
        "hlcpt_pmpblc_en_nm",
        "grnds_dstnc",
    ),
)
